import { createPrivateKey, X509Certificate } from 'node:crypto'
import { fileURLToPath } from 'node:url'
import { describe, expect, it, vi } from 'vitest'
import { parseAllDocuments } from 'yaml'
import { cluster, secretPath } from '../deploy/injector/cluster.ts'
import { pod } from '../deploy/injector/pods.ts'
import { ask } from '../deploy/injector/reviews.ts'
import { workplace } from '../support/postern.ts'

const example = (name: string) => fileURLToPath(new URL(`../../deploy/examples/kubernetes/${name}`, import.meta.url))

describe('postern injector render', () => {
  it('prints what would be admitted, and on standard error what differs', async () => {
    await using place = await workplace({})
    const run = place.start([
      'injector',
      'render',
      '-f',
      example('agents.yaml'),
      '--namespace-labels',
      'postern.dev/mode=explicit',
    ])
    expect(await run.ended).toBe(0)
    const kinds = parseAllDocuments(run.out).map((document) => document.toJS().kind)
    expect(kinds).toEqual(['Namespace', 'Secret', 'NetworkPolicy', 'Deployment', 'CronJob'])
    expect(run.errors).toContain('Deployment/researcher:\n')
    expect(run.errors).toMatch(/^\+ {4}- name: postern$/m)
    expect(run.errors).not.toContain('\u001b[')
  })

  it('says why a pod is refused, and ends with 65', async () => {
    await using place = await workplace({})
    const run = place.start(['injector', 'render', '-f', example('careless.yaml'), '-q'])
    expect(await run.ended).toBe(65)
    expect(run.errors).toContain('Pod/careless: postern does not admit this pod.')
    expect(run.errors).toContain('Set hostNetwork: false. [host_network]')
  })

  it.each([
    ['no such file', ['-f', 'missing.yaml'], 66, 'missing.yaml'],
    ['no YAML', ['-f', 'bad.yaml'], 65, ''],
    ['settings that are none', ['-f', 'pod.yaml', '-c', 'settings.yaml'], 78, 'mdoe'],
    ['a label without a value', ['-f', 'pod.yaml', '--namespace-labels', 'x'], 64, 'x is not key=value'],
    ['no file', [], 64, '--file'],
  ])('ends with a word on what is wrong: %s', async (_, args, code, said) => {
    await using place = await workplace({
      'bad.yaml': 'a: [}',
      'settings.yaml': 'mdoe: explicit\n',
      'pod.yaml': JSON.stringify(pod()),
    })
    const run = place.start(['injector', 'render', ...args])
    expect(await run.ended).toBe(code)
    expect(run.errors).toContain(said)
  })

  it('leaves a pod in a namespace that is not labelled, and says so', async () => {
    await using place = await workplace({ 'pod.yaml': JSON.stringify(pod()) })
    const run = place.start([
      'injector',
      'render',
      '-f',
      'pod.yaml',
      '--namespace-labels',
      'postern.dev/inject=disabled',
    ])
    expect(await run.ended).toBe(0)
    expect(run.errors).toContain('Pod/agent: left as it is (namespace_not_labelled)')
  })
})

describe('postern injector run', () => {
  it('serves the API server that the pod is told of, and stops when it is told to', async () => {
    await using where = await cluster()
    await using place = await workplace({
      'injector.yaml': 'listen: 127.0.0.1:0\nmetrics: 127.0.0.1:0\nmode: explicit\n',
    })
    const run = place.start(['injector', 'run', '-c', 'injector.yaml', '--linger', '0'], {
      KUBERNETES_SERVICE_HOST: 'localhost',
      KUBERNETES_SERVICE_PORT: String(where.api.port),
      POSTERN_SERVICE_ACCOUNT: where.folder,
    })
    const { port } = await run.told('listening')
    await vi.waitFor(() => expect(where.api.objects.has(secretPath)).toBe(true), 10_000)
    const asked = await vi.waitFor(
      () => ask({ port: Number(port), ca: () => where.bundle() }, '/mutate', { object: pod() }),
      10_000,
    )
    expect(asked).toMatchObject({ allowed: true, auditAnnotations: { mode: 'explicit' } })
    const data = where.api.objects.get(secretPath)?.data as Record<string, string>
    const leaf = new X509Certificate(Buffer.from(data['tls.crt'] ?? '', 'base64'))
    expect(leaf.checkPrivateKey(createPrivateKey(Buffer.from(data['tls.key'] ?? '', 'base64').toString()))).toBe(true)
    run.child.kill('SIGTERM')
    expect(await run.ended).toBe(0)
    expect(run.log.filter(({ level }) => level === 'error')).toEqual([])
  })

  it('ends with 69 where there is no cluster', async () => {
    await using place = await workplace({})
    const run = place.start(['injector', 'run'])
    expect(await run.ended).toBe(69)
    expect(run.errors).toContain('postern injector render')
  })
})
