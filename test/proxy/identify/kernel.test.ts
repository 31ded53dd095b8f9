// The kernel's word mapped to an identity: only users that the configuration names are anybody.
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { parseSpiffeId } from '../../../certs/spiffe-id.ts'
import { kernelFacts } from '../../../proxy/identify/kernel/facts.ts'
import { KernelAttestor } from '../../../proxy/identify/kernel.ts'
import { CALLER, connectionOf, endProgram, type Gate, openGate, startProgram } from './kernel/gate.ts'

const id = parseSpiffeId('spiffe://acme.example/ns/agents/sa/researcher')
const facts = kernelFacts()
const uid = process.getuid?.() ?? 0

let gate: Gate
beforeEach(async () => {
  gate = await openGate()
})
afterEach(() => gate.close())

describe.skipIf(process.platform !== 'linux')('KernelAttestor (Linux only: it asks sock_diag or /proc)', () => {
  async function arriving(): Promise<{ client: Socket; accepted: Socket }> {
    const client = connect(gate.port, '127.0.0.1')
    return { client, accepted: await gate.next() }
  }

  test('with no users named knows nobody', async () => {
    const { client, accepted } = await arriving()
    expect(await new KernelAttestor(new Map(), facts).attest(connectionOf(accepted))).toBeUndefined()
    client.destroy()
  })

  test('does not take a socket that its process has closed for root’s', async () => {
    const { client, accepted } = await arriving()
    const connection = connectionOf(accepted)
    client.destroy()
    accepted.resume()
    await once(accepted, 'end')
    const attestor = new KernelAttestor(new Map([[0, id]]), facts, id)
    await vi.waitFor(async () => expect(await attestor.attest(connection)).toBeUndefined(), { timeout: 10_000 })
  })

  test('maps the user of the caller', async () => {
    const { client, accepted } = await arriving()
    const attestor = new KernelAttestor(new Map([[uid, id]]), facts)
    expect(await attestor.attest(connectionOf(accepted))).toEqual({ id, proofs: ['kernel'], uid })
    client.destroy()
  })

  test('takes users that are not named for somebody only when told whom', async () => {
    const { client, accepted } = await arriving()
    const others = parseSpiffeId('spiffe://acme.example/others')
    const connection = connectionOf(accepted)
    expect(await new KernelAttestor(new Map([[uid, id]]), facts, others).attest(connection)).toMatchObject({ id })
    expect(await new KernelAttestor(new Map(), facts, others).attest(connection)).toMatchObject({ id: others, uid })
    client.destroy()
  })

  test.skipIf(uid !== 0)('does not map another user (needs root)', async () => {
    const child = startProgram(CALLER, [String(gate.port)], { uid: 65534 })
    const connection = connectionOf(await gate.next())
    expect(await new KernelAttestor(new Map([[0, id]]), facts).attest(connection)).toBeUndefined()
    expect(await new KernelAttestor(new Map([[65534, id]]), facts).attest(connection)).toMatchObject({ uid: 65534 })
    await endProgram(child)
  })

  test('believes what the listener asked of a UNIX peer, with its process where that is visible', async () => {
    const attestor = new KernelAttestor(new Map([[1000, id]]), facts)
    const { client, accepted } = await arriving()
    const unix = { ...connectionOf(accepted), transport: 'unix', remoteAddress: undefined } as const
    expect(await attestor.attest(unix)).toBeUndefined()
    expect(await attestor.attest({ ...unix, peer: { pid: 0, uid: 1001, gid: 1000 } })).toBeUndefined()
    const elsewhere = { pid: 0, uid: 1000, gid: 1000 }
    expect(await attestor.attest({ ...unix, peer: elsewhere })).toEqual({ id, proofs: ['kernel'], uid: 1000 })
    expect(await attestor.attest({ ...unix, peer: { ...elsewhere, pid: process.pid } })).toEqual({
      id,
      proofs: ['kernel'],
      uid: 1000,
      pid: process.pid,
      executable: process.execPath,
    })
    client.destroy()
  })
})
