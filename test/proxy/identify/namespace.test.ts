// Whoever comes in by a listener of the namespace is the command; the rest is what the kernel adds, where it can.
import { createHash } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { parseSpiffeId } from '../../../certs/spiffe-id.ts'
import type { Connection } from '../../../proxy/exchange.ts'
import { type IsolatedRun, NamespaceAttestor } from '../../../proxy/identify/namespace.ts'
import { Secret } from '../../../proxy/secret.ts'
import { basic } from './kernel/gate.ts'

const agent = parseSpiffeId('spiffe://acme.example/agent')
const facts: IsolatedRun['facts'] = {
  socketOwner: () => ({ uid: 1000, inode: 7 }),
  holderOf: () => 42,
  process: () => ({ start: 1, executable: '/usr/bin/curl', sameFiles: true, container: undefined }),
}
const attestor = (over: Partial<IsolatedRun['facts']> = {}, root: number | undefined = 40) =>
  new NamespaceAttestor({
    tokenDigest: createHash('sha256').update('right').digest(),
    agent,
    rootPid: () => root,
    facts: { ...facts, ...over },
  })
const connection = (authorization?: string): Connection => ({
  id: 'c',
  listener: 'exec',
  accept: 'redirected',
  transport: 'tcp',
  remoteAddress: '192.0.2.1',
  remotePort: 40_000,
  localAddress: '127.0.0.1',
  localPort: 15_001,
  original: { address: '203.0.113.7', port: 443, names: [] },
  peerCertificates: [],
  proxyAuthorization: authorization === undefined ? undefined : new Secret('proxy-authorization', authorization),
})

describe('a caller in the namespace', () => {
  test('with the token of another run is refused', async () => {
    await expect(attestor().attest(connection(basic('run', 'wrong')))).rejects.toMatchObject({
      reason: 'unidentified_caller',
      detail: 'run token: it is not the token of this run',
    })
  })

  test('is the command by that alone, where the kernel tells nothing of it', async () => {
    const gone = attestor({ socketOwner: () => undefined })
    expect(await gone.attest(connection())).toEqual({ id: agent, proofs: ['namespace'] })
  })

  test('whose process cannot be looked into is known by its user', async () => {
    const hidden = attestor({ holderOf: () => undefined })
    expect(await hidden.attest(connection())).toEqual({ id: agent, proofs: ['namespace'], uid: 1000 })
  })

  test('that is left when the command has ended is known by its user', async () => {
    const left = new NamespaceAttestor({ tokenDigest: Buffer.alloc(32), agent, rootPid: () => undefined, facts })
    expect(await left.attest(connection())).toMatchObject({ proofs: ['namespace'], uid: 1000 })
  })

  test('is told with its process, and with the token where it brings that', async () => {
    const told = { id: agent, uid: 1000, pid: 42, executable: '/usr/bin/curl' }
    expect(await attestor().attest(connection())).toEqual({ ...told, proofs: ['namespace', 'kernel'] })
    expect(await attestor().attest(connection(basic('run', 'right')))).toEqual({
      ...told,
      proofs: ['namespace', 'kernel', 'run-token'],
    })
  })
})
