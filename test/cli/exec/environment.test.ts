// What the command finds in its environment, and what not.
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  commandEnvironment,
  defaultNoProxy,
  type EnvironmentOptions,
  secretVariables,
} from '../../../cli/exec/environment.ts'

const made = (over: Partial<EnvironmentOptions>) =>
  commandEnvironment({
    inherited: {},
    secrets: new Set(),
    keep: new Set(),
    dropLookalikes: false,
    proxy: { host: '127.0.0.1', port: 4711, user: 'run', token: 'abc_-1' },
    noProxy: ['localhost', '127.0.0.1'],
    trust: {},
    standIns: [],
    ...over,
  })

describe('what is left out', () => {
  test('every variable that the configuration reads a secret from, also one that is to be kept', () => {
    const { variables } = made({
      inherited: { CRM_SECRET: 'canary', PATH: '/bin' },
      secrets: new Set(['CRM_SECRET']),
      keep: new Set(['CRM_SECRET']),
    })
    expect(JSON.stringify(variables)).not.toContain('canary')
    expect(variables.PATH).toBe('/bin')
  })

  test('never a secret, whatever the variables are called', () => {
    const name = fc.stringMatching(/^[A-Za-z_][A-Za-z0-9_]{0,12}$/)
    fc.assert(
      fc.property(fc.uniqueArray(name, { minLength: 1 }), fc.boolean(), (names, dropLookalikes) => {
        const inherited = Object.fromEntries(names.map((each) => [each, 'canary']))
        const { variables } = made({ inherited, secrets: new Set(names), dropLookalikes })
        expect(JSON.stringify(variables)).not.toContain('canary')
      }),
    )
  })

  test('other proxies and exceptions, in either case', () => {
    const others = [
      'HTTPS_PROXY',
      'https_proxy',
      'NO_PROXY',
      'no_proxy',
      'grpc_proxy',
      'npm_config_https_proxy',
      'Ftp_Proxy',
    ]
    const { variables } = made({ inherited: Object.fromEntries(others.map((each) => [each, 'elsewhere'])) })
    expect(JSON.stringify(variables)).not.toContain('elsewhere')
  })
})

describe('what looks like a credential', () => {
  const inherited = {
    GITHUB_TOKEN: 'x',
    AWS_SECRET_ACCESS_KEY: 'x',
    OPENAI_API_KEY: 'x',
    PGPASSWORD: 'x',
    DB_PASSWORD: 'x',
    EMPTY_TOKEN: '',
    TOKENIZERS_PARALLELISM: 'true',
    KEYBOARD: 'x',
    SSH_AUTH_SOCK: 'x',
  }
  const lookalikes = ['GITHUB_TOKEN', 'AWS_SECRET_ACCESS_KEY', 'OPENAI_API_KEY', 'DB_PASSWORD']

  test('is named and handed on', () => {
    const { suspects, variables } = made({ inherited })
    expect(suspects).toEqual(lookalikes)
    expect(variables.GITHUB_TOKEN).toBe('x')
  })

  test('is not named when it is to be kept, or a stand-in takes its place', () => {
    const standIns = [{ variable: 'OPENAI_API_KEY', value: 'sk-stand-in' }]
    const { suspects, variables } = made({ inherited, keep: new Set(['GITHUB_TOKEN']), standIns })
    expect(suspects).toEqual(['AWS_SECRET_ACCESS_KEY', 'DB_PASSWORD'])
    expect(variables.OPENAI_API_KEY).toBe('sk-stand-in')
  })

  test('is left out when asked for, except what is to be kept', () => {
    const { suspects, variables } = made({ inherited, keep: new Set(['GITHUB_TOKEN']), dropLookalikes: true })
    expect(suspects).toEqual([])
    expect(Object.keys(variables).filter((each) => lookalikes.includes(each))).toEqual(['GITHUB_TOKEN'])
    expect(variables.KEYBOARD).toBe('x')
  })
})

describe('what is put in', () => {
  test('the proxy with its token, in both cases, and what Node needs to look at it', () => {
    const { variables } = made({})
    for (const each of ['HTTP_PROXY', 'http_proxy', 'HTTPS_PROXY', 'https_proxy', 'ALL_PROXY', 'all_proxy'])
      expect(variables[each]).toBe('http://run:abc_-1@127.0.0.1:4711')
    expect(variables.NO_PROXY).toBe('localhost,127.0.0.1')
    expect(variables.no_proxy).toBe('localhost,127.0.0.1')
    expect(variables.NODE_USE_ENV_PROXY).toBe('1')
  })

  test('Java’s own options behind those that are there already, since the last one counts', () => {
    const { variables } = made({
      inherited: { JAVA_TOOL_OPTIONS: '-Xmx1g' },
      trust: { JAVA_TOOL_OPTIONS: '-Djavax.net.ssl.trustStore=/t/store.jks', SSL_CERT_FILE: '/t/all.pem' },
      noProxy: [],
    })
    expect(variables.JAVA_TOOL_OPTIONS).toBe(
      '-Xmx1g -Djavax.net.ssl.trustStore=/t/store.jks -Dhttp.proxyHost=127.0.0.1 -Dhttp.proxyPort=4711 ' +
        '-Dhttps.proxyHost=127.0.0.1 -Dhttps.proxyPort=4711 -Dhttp.nonProxyHosts= ' +
        '-Djdk.http.auth.tunneling.disabledSchemes=',
    )
    expect(variables.SSL_CERT_FILE).toBe('/t/all.pem')
  })

  test('no exception for a host of this machine that the configuration names', () => {
    expect(defaultNoProxy(['api.example.com'])).toEqual(['localhost', '127.0.0.1'])
    expect(defaultNoProxy(['localhost', 'api.example.com'])).toEqual(['127.0.0.1'])
    expect(defaultNoProxy(['127.0.0.1', 'localhost'])).toEqual([])
  })
})

describe('secretVariables', () => {
  test('finds references wherever they stand, and takes nothing else for one', () => {
    const config = {
      credentials: new Map([['a', { value: { from: 'env', name: 'A' }, more: [{ key: { from: 'env', name: 'B' } }] }]]),
      model: { kind: 'env', variable: 'D' },
      helper: { kind: 'exec', pass: ['PATH', 'VAULT_TOKEN'], variable: 'E' },
      list: [{ from: 'file', path: '/x' }, { from: 'env' }, { name: 'C' }, null, 'from env', undefined],
    }
    expect([...secretVariables(config)].sort()).toEqual(['A', 'B', 'D', 'VAULT_TOKEN'])
  })

  test('ends on a configuration that refers to itself', () => {
    const config: Record<string, unknown> = { value: { from: 'env', name: 'A' } }
    config.again = config
    expect(secretVariables(config)).toEqual(new Set(['A']))
  })
})
