import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { PodAuthority } from '../../../certs/pod-authority.ts'
import { writeTrustFiles } from '../../../certs/trust-files.ts'
import { agentVariables, withVariables } from '../../../deploy/injector/agent-variables.ts'
import { settings } from './pods.ts'

const java = (env: readonly { readonly name: string; readonly value?: string | null | undefined }[]) =>
  env.find(({ name }) => name === 'JAVA_TOOL_OPTIONS')?.value

describe('the variables of agents', () => {
  it('are those, and lead to the files, that the proxy writes', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'postern-trust-'))
    try {
      const { certificatePem } = new PodAuthority({ now: Date.now })
      const { environment } = await writeTrustFiles({ directory, caPem: certificatePem })
      const { env } = withVariables([], agentVariables('transparent', { ...settings, trustDirectory: directory }))
      expect(Object.fromEntries(env.map(({ name, value }) => [name, value]))).toEqual(environment)
    } finally {
      await rm(directory, { recursive: true })
    }
  })

  it('name the proxy in explicit mode alone', () => {
    const named = (mode: 'explicit' | 'cni' | 'transparent') => {
      const { env } = withVariables([], agentVariables(mode, settings))
      return env.filter(({ name }) => /proxy/i.test(name)).map(({ name }) => name)
    }
    expect(named('transparent')).toEqual([])
    expect(named('cni')).toEqual([])
    expect(named('explicit')).toEqual(
      expect.arrayContaining(['http_proxy', 'HTTPS_PROXY', 'all_proxy', 'no_proxy', 'NO_PROXY', 'NODE_USE_ENV_PROXY']),
    )
  })

  it('take out what would lead round the proxy, in explicit mode', () => {
    const env = [
      { name: 'grpc_proxy', value: 'x' },
      { name: 'npm_config_https_proxy', value: 'x' },
      { name: 'A', value: 'b' },
    ]
    const explicit = withVariables(env, agentVariables('explicit', settings))
    expect(explicit.replaced).toEqual(['grpc_proxy', 'npm_config_https_proxy'])
    expect(explicit.env[0]).toEqual({ name: 'A', value: 'b' })
    expect(withVariables(env, agentVariables('transparent', settings)).env.slice(0, 3)).toEqual(env)
  })

  it('replace one that comes from a ConfigMap, and keep the first of two', () => {
    const env = [
      { name: 'SSL_CERT_FILE', valueFrom: { configMapKeyRef: { name: 'x', key: 'y' } } },
      { name: 'SSL_CERT_FILE', value: 'z' },
    ]
    const { env: after, replaced } = withVariables(env, agentVariables('transparent', settings))
    expect(replaced).toEqual(['SSL_CERT_FILE'])
    expect(after.filter(({ name }) => name === 'SSL_CERT_FILE')).toEqual([
      { name: 'SSL_CERT_FILE', value: '/run/postern-trust/trust/combined.pem' },
    ])
  })

  it.each([
    ['-Xmx1g', /^-Xmx1g -Djavax/],
    ['-Djavax.net.ssl.trustStore=/own.jks -Da=b', /^-Da=b -Djavax/],
    ['"-Djavax.net.ssl.trustStore=/my own.jks" -Da="b c"', /^-Da="b c" -Djavax/],
    ['-Dhttp.proxyHost=other', /^-Dhttp\.proxyHost=other -Djavax/],
  ])('put ours behind options for Java that are there: %s', (value, expected) => {
    const { env } = withVariables([{ name: 'JAVA_TOOL_OPTIONS', value }], agentVariables('transparent', settings))
    expect(java(env)).toMatch(expected)
  })

  it('put ours behind options for Java that come from elsewhere', () => {
    const valueFrom = { configMapKeyRef: { name: 'x', key: 'y' } }
    const variables = agentVariables('transparent', settings)
    const { env } = withVariables([{ name: 'JAVA_TOOL_OPTIONS', valueFrom }], variables)
    expect(env[0]).toEqual({ name: 'POSTERN_OTHER_JAVA_TOOL_OPTIONS', valueFrom })
    expect(java(env)).toMatch(/^\$\(POSTERN_OTHER_JAVA_TOOL_OPTIONS\) -Djavax/)
    expect(withVariables(env, variables).env).toEqual(env)
  })

  it('are the same when they are set again, whatever Java was told', () => {
    const variables = agentVariables('explicit', settings)
    const options = fc.string({
      unit: fc.constantFrom('-D', 'a', '=', ' ', '"', "'", '\t', 'javax.net.ssl.trustStore'),
    })
    fc.assert(
      fc.property(options, (value) => {
        const once = withVariables([{ name: 'JAVA_TOOL_OPTIONS', value }], variables).env
        expect(withVariables(once, variables).env).toEqual(once)
      }),
    )
  })
})
