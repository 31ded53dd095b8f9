// The kernel's word mapped to an identity: only users that the configuration names are anybody.
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { parseSpiffeId } from '../../../certs/spiffe-id.ts'
import type { Connection } from '../../../proxy/exchange.ts'
import { kernelFacts } from '../../../proxy/identify/kernel/facts.ts'
import type { ProcessFacts } from '../../../proxy/identify/kernel/process.ts'
import { readStat } from '../../../proxy/identify/kernel/process-stat.ts'
import { KernelAttestor } from '../../../proxy/identify/kernel.ts'
import { Refusal } from '../../../proxy/refusal.ts'
import { CALLER, connectionOf, endProgram, type Gate, openGate, startProgram } from './kernel/gate.ts'

const id = parseSpiffeId('spiffe://acme.example/ns/agents/sa/researcher')
const facts = kernelFacts()
const uid = process.getuid?.() ?? 0
const reasonOf = (error: unknown) => (error instanceof Refusal ? error.reason : String(error))
const overUnix: Connection = {
  id: 'connection',
  listener: 'local',
  accept: 'http-proxy',
  transport: 'unix',
  remoteAddress: undefined,
  remotePort: undefined,
  localAddress: undefined,
  localPort: undefined,
  peerCertificates: [],
  proxyAuthorization: undefined,
}

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
    expect(await new KernelAttestor({}, facts).attest(connectionOf(accepted))).toBeUndefined()
    client.destroy()
  })

  test('does not take a socket that its process has closed for root’s', async () => {
    const { client, accepted } = await arriving()
    const connection = connectionOf(accepted)
    client.destroy()
    accepted.resume()
    await once(accepted, 'end')
    const attestor = new KernelAttestor({ uids: new Map([[0, id]]), others: id }, facts)
    await vi.waitFor(async () => expect(await attestor.attest(connection)).toBeUndefined(), { timeout: 10_000 })
  })

  test('maps the user of the caller', async () => {
    const { client, accepted } = await arriving()
    const attestor = new KernelAttestor({ uids: new Map([[uid, id]]) }, facts)
    expect(await attestor.attest(connectionOf(accepted))).toEqual({ id, proofs: ['kernel'], uid })
    client.destroy()
  })

  test('takes users that are not named for somebody only when told whom', async () => {
    const { client, accepted } = await arriving()
    const others = parseSpiffeId('spiffe://acme.example/others')
    const connection = connectionOf(accepted)
    expect(await new KernelAttestor({ uids: new Map([[uid, id]]), others }, facts).attest(connection)).toMatchObject({
      id,
    })
    expect(await new KernelAttestor({ others }, facts).attest(connection)).toMatchObject({ id: others, uid })
    client.destroy()
  })

  test.skipIf(uid !== 0)('does not map another user (needs root)', async () => {
    const child = startProgram(CALLER, [String(gate.port)], { uid: 65534 })
    const connection = connectionOf(await gate.next())
    expect(await new KernelAttestor({ uids: new Map([[0, id]]) }, facts).attest(connection)).toBeUndefined()
    expect(await new KernelAttestor({ uids: new Map([[65534, id]]) }, facts).attest(connection)).toMatchObject({
      uid: 65534,
    })
    await endProgram(child)
  })

  test('believes what the listener asked of a UNIX peer, with its process where that is visible', async () => {
    const attestor = new KernelAttestor({ uids: new Map([[1000, id]]) }, facts)
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

  describe('by process', () => {
    const elsewhere = parseSpiffeId('spiffe://acme.example/elsewhere')
    const start = readStat(process.pid)?.start ?? 0
    const container = 'ab'.repeat(32)
    const peer = { pid: process.pid, uid, gid: 0, start }
    const unix = { ...overUnix, peer }
    /** Of this machine, but for what is said of one process. */
    const saying = (over: Partial<ProcessFacts>) => ({
      ...facts,
      process: (pid: number) => {
        const told = facts.process(pid)
        return told && { ...told, ...over }
      },
    })

    test('maps the program of a caller on loopback, whoever runs it', async () => {
      const { client, accepted } = await arriving()
      const executables = new Map([[process.execPath, id]])
      const attestor = new KernelAttestor({ executables, uids: new Map([[uid, elsewhere]]) }, facts)
      expect(await attestor.attest(connectionOf(accepted))).toMatchObject({
        id,
        proofs: ['kernel'],
        uid,
        pid: process.pid,
        executable: process.execPath,
      })
      client.destroy()
    })

    test('maps the process of a child, not of the one that started it', async () => {
      const child = startProgram(CALLER, [String(gate.port)])
      const executables = new Map([[process.execPath, id]])
      const caller = await new KernelAttestor({ executables }, facts).attest(connectionOf(await gate.next()))
      expect(caller).toMatchObject({ id, pid: child.pid })
      await endProgram(child)
    })

    test('knows nobody by a program that is not named, and falls back on the user where that is', async () => {
      const executables = new Map([['/usr/bin/other', id]])
      expect(await new KernelAttestor({ executables }, facts).attest(unix)).toBeUndefined()
      const both = new KernelAttestor({ executables, uids: new Map([[uid, elsewhere]]) }, facts)
      expect(await both.attest(unix)).toMatchObject({ id: elsewhere })
    })

    test('does not take the program of a container for ours of the same path', async () => {
      const executables = new Map([[process.execPath, id]])
      expect(await new KernelAttestor({ executables }, saying({ sameFiles: false })).attest(unix)).toBeUndefined()
    })

    test('maps a container by its id or the beginning of it, before anything else', async () => {
      const executables = new Map([[process.execPath, elsewhere]])
      for (const named of [container, container.slice(0, 12)]) {
        const attestor = new KernelAttestor({ executables, containers: new Map([[named, id]]) }, saying({ container }))
        expect(await attestor.attest(unix)).toMatchObject({ id, container })
      }
      const other = new KernelAttestor({ containers: new Map([['ba'.repeat(6), id]]) }, saying({ container }))
      expect(await other.attest(unix)).toBeUndefined()
    })

    test('tells the container also where only users are mapped', async () => {
      const attestor = new KernelAttestor({ uids: new Map([[uid, id]]) }, saying({ container }))
      expect(await attestor.attest(unix)).toMatchObject({ id, container, pid: process.pid })
    })

    test('refuses a caller whose number is another process’s by now', async () => {
      const executables = new Map([[process.execPath, id]])
      const attestor = new KernelAttestor({ executables, others: elsewhere }, facts)
      const reused = { ...unix, peer: { ...peer, start: start + 1 } }
      await expect(attestor.attest(reused)).rejects.toThrow('kernel: the process that connected has gone')
      // Nor does it say anything of the other process where users alone are mapped; who connected is known all the same.
      expect(await new KernelAttestor({ uids: new Map([[uid, id]]) }, facts).attest(reused)).toEqual({
        id,
        proofs: ['kernel'],
        uid,
        pid: process.pid,
      })
    })

    test.each([
      ['that had gone before it was looked at', { pid: process.pid, uid, gid: 0 }],
      ['of a pid namespace that is not visible', { pid: 0, uid, gid: 0 }],
    ])('refuses a caller %s, though everybody else is somebody', async (_what, gone) => {
      const attestor = new KernelAttestor({ containers: new Map([[container, id]]), others: elsewhere }, facts)
      await expect(attestor.attest({ ...unix, peer: gone })).rejects.toThrow('unidentified_caller: kernel:')
    })

    test('refuses a caller on loopback whose process has ended', async () => {
      const child = startProgram(CALLER, [String(gate.port)])
      const connection = connectionOf(await gate.next())
      const attestor = new KernelAttestor({ executables: new Map([[process.execPath, id]]), others: elsewhere }, facts)
      await endProgram(child)
      // Undefined where the kernel has let go of the socket already: nobody is known either way.
      await expect(attestor.attest(connection).then((caller) => caller ?? 'nobody', reasonOf)).resolves.toMatch(
        /^(?:nobody|unidentified_caller)$/,
      )
    })
  })
})
