import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { KubeClient } from '../../../deploy/injector/kube-client.ts'
import { type Cluster, cluster } from './cluster.ts'

let where: Cluster
beforeEach(async () => {
  where = await cluster()
})
afterEach(() => where[Symbol.asyncDispose]())

const path = '/api/v1/namespaces/agents'
const signal = () => AbortSignal.timeout(5_000)

describe('a call of the API server', () => {
  it('is an error with the status and what was said', async () => {
    await expect(where.client().get('/api/v1/namespaces/none', signal())).rejects.toMatchObject({
      status: 404,
      message: 'GET /api/v1/namespaces/none: 404 /api/v1/namespaces/none not found',
    })
  })

  it('carries the token of the file as it is now', async () => {
    const client = where.client()
    writeFileSync(join(where.folder, 'token'), 'old')
    await expect(client.get(path, signal())).rejects.toMatchObject({ status: 401 })
    writeFileSync(join(where.folder, 'token'), where.api.token)
    expect(await client.get(path, signal())).toMatchObject({ metadata: { name: 'agents' } })
  })

  it('is made to nobody who cannot prove to be it', async () => {
    const other = await cluster()
    const client = new KubeClient({
      host: 'localhost',
      port: where.api.port,
      ca: other.api.ca,
      tokenFile: join(where.folder, 'token'),
    })
    await expect(client.get(path, signal())).rejects.toThrow(/certificate|signature/)
    expect(where.api.calls).toEqual([])
    client.close()
    await other[Symbol.asyncDispose]()
  })

  it('ends when it is aborted, and when the answer is too large', async () => {
    const client = where.client()
    await expect(client.get(path, AbortSignal.abort())).rejects.toMatchObject({ name: 'AbortError' })
    where.api.objects.set(path, { metadata: { name: 'agents' }, filler: 'x'.repeat(3 * 1024 * 1024) })
    await expect(client.get(path, signal())).rejects.toThrow('more than')
  })

  it('fails with 409 where another has written meanwhile', async () => {
    const stale = { metadata: { name: 'agents', resourceVersion: '0' } }
    await expect(where.client().replace(path, stale, signal())).rejects.toMatchObject({ status: 409 })
    const test = { op: 'test', path: '/metadata/resourceVersion', value: '0' } as const
    await expect(where.client().patch(path, [test], signal())).rejects.toMatchObject({ status: 422 })
  })
})
