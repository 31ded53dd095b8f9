// The two proofs of `exec` together, with real processes: whoever lacks one is refused, and the detail says which.
import type { ChildProcess } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { createInterface } from 'node:readline'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { parseSpiffeId } from '../../../certs/spiffe-id.ts'
import type { Caller, Connection } from '../../../proxy/exchange.ts'
import { type KernelFacts, kernelFacts } from '../../../proxy/identify/kernel/facts.ts'
import { nativeCalls } from '../../../proxy/identify/kernel/native.ts'
import { RunTokenAttestor } from '../../../proxy/identify/run-token.ts'
import { Refusal } from '../../../proxy/refusal.ts'
import { basic, CALLER, connectionOf, endProgram, type Gate, openGate, startProgram } from './kernel/gate.ts'

const agent = parseSpiffeId('spiffe://acme.example/agent')
const token = randomBytes(32).toString('base64url')
const tokenDigest = createHash('sha256').update(token).digest()
const uid = process.getuid?.()
const facts = kernelFacts()

/** A command that starts what it reads from stdin, a line a time, and says the pid of each. */
const COMMAND = `
  const { spawn } = require('node:child_process')
  require('node:readline').createInterface({ input: process.stdin }).on('line', (line) => {
    const [file, ...argv] = JSON.parse(line)
    const child = spawn(file, argv, { stdio: ['ignore', 'inherit', 'inherit'] })
    console.log(child.pid)
  })`

let gate: Gate
const children: ChildProcess[] = []
beforeEach(async () => {
  gate = await openGate()
})
afterEach(async () => {
  await gate.close()
  for (const child of children.splice(0)) await endProgram(child)
})

function start(program: string, argv: readonly string[], options?: { uid?: number }): ChildProcess {
  const child = startProgram(program, argv, options)
  children.push(child)
  return child
}

function attestorFor(root: ChildProcess | undefined, over: { facts?: KernelFacts } = {}): RunTokenAttestor {
  return new RunTokenAttestor({ tokenDigest, agent, uid, rootPid: () => root?.pid, facts, ...over })
}

async function outcome(attestor: RunTokenAttestor, connection: Connection): Promise<Caller | string | undefined> {
  try {
    return await attestor.attest(connection)
  } catch (error) {
    if (!(error instanceof Refusal)) throw error
    return `${error.reason}: ${error.detail}`
  }
}

describe('the token', () => {
  test.each([
    ['no Proxy-Authorization', undefined],
    ['a Bearer one', `Bearer ${token}`],
    ['another user’s', basic('someone', token)],
    ['the token as user name', basic(token, '')],
    ['no Basic at all', 'Basic'],
  ])('%s is no evidence of this kind', async (_what, value) => {
    const child = start(CALLER, [String(gate.port)])
    expect(await outcome(attestorFor(child), connectionOf(await gate.next(), value))).toBeUndefined()
  })

  test.each([
    ['empty', ''],
    ['cut short', token.slice(0, -1)],
    ['longer', `${token}x`],
    ['that of another run', randomBytes(32).toString('base64url')],
  ])('refuses the command itself with a token that is %s', async (_what, wrong) => {
    const child = start(CALLER, [String(gate.port)])
    const connection = connectionOf(await gate.next(), basic('run', wrong))
    expect(await outcome(attestorFor(child), connection)).toBe(
      'unidentified_caller: run token: it is not the token of this run',
    )
  })

  test('is the only proof, and says so, where the kernel cannot tell processes', async () => {
    const blind = { ...facts, limit: 'darwin does not tell whose socket it is' }
    start(CALLER, [String(gate.port)])
    const connection = connectionOf(await gate.next(), basic('run', token))
    expect(await outcome(attestorFor(undefined, { facts: blind }), connection)).toEqual({
      id: agent,
      proofs: ['run-token'],
    })
  })
})

describe.skipIf(facts.limit !== undefined)(
  `the kernel’s word${facts.limit ? ` (skipped: ${facts.limit})` : ''}`,
  () => {
    const stranger =
      'unidentified_caller: kernel: the process that holds the caller’s socket does not descend from the command'

    async function arriving(): Promise<Connection> {
      return connectionOf(await gate.next(), basic('run', token))
    }

    test('refuses a neighbour with the stolen token', async () => {
      const command = start(COMMAND, [])
      start(CALLER, [String(gate.port)])
      expect(await outcome(attestorFor(command), await arriving())).toBe(stranger)
    })

    test('refuses the proxy’s own process', async () => {
      const command = start(COMMAND, [])
      const { connect } = await import('node:net')
      const client = connect(gate.port, '127.0.0.1')
      expect(await outcome(attestorFor(command), await arriving())).toBe(stranger)
      client.destroy()
    })

    test('refuses everybody while no command runs', async () => {
      start(CALLER, [String(gate.port)])
      expect(await outcome(attestorFor(undefined), await arriving())).toBe(
        'unidentified_caller: kernel: the command does not run',
      )
    })

    test('refuses a process that is gone', async () => {
      const command = start(COMMAND, [])
      const caller = start(CALLER, [String(gate.port)])
      const socket = await gate.next()
      const connection = connectionOf(socket, basic('run', token))
      socket.resume()
      await endProgram(caller)
      expect(await outcome(attestorFor(command), connection)).toBe(
        'unidentified_caller: kernel: no process holds the caller’s socket any more',
      )
    })

    test.skipIf(uid !== 0)('refuses a process of the command that runs as another user (needs root)', async () => {
      const command = start(COMMAND, [])
      start(CALLER, [String(gate.port)], { uid: 65534 })
      expect(await outcome(attestorFor(command), await arriving())).toBe(
        'unidentified_caller: kernel: the caller runs as uid 65534, the command as uid 0',
      )
    })

    test('accepts the command', async () => {
      const command = start(CALLER, [String(gate.port)])
      expect(await outcome(attestorFor(command), await arriving())).toEqual({
        id: agent,
        proofs: ['kernel', 'run-token'],
        uid,
        pid: command.pid,
        executable: process.execPath,
      })
    })

    test('accepts a child of a child, each in a connection of its own, and then again', async () => {
      const command = start(COMMAND, [])
      const attestor = attestorFor(command)
      const said = createInterface({ input: command.stdout ?? process.stdin })[Symbol.asyncIterator]()
      for (let round = 0; round < 3; round += 1) {
        const script = `"$0" -e "$1" ${gate.port} & echo $!; wait`
        command.stdin?.write(`${JSON.stringify(['sh', '-c', script, process.execPath, CALLER])}\n`)
        const pids = [Number((await said.next()).value), Number((await said.next()).value)]
        const caller = await outcome(attestor, await arriving())
        expect(caller).toMatchObject({ proofs: ['kernel', 'run-token'] })
        expect(pids).toContain(typeof caller === 'object' ? caller.pid : undefined)
      }
    })

    const subreaper = nativeCalls()?.becomeSubreaper() === true
    test.skipIf(!subreaper)('accepts a daemon whose parents are gone (needs PR_SET_CHILD_SUBREAPER)', async () => {
      const command = start(COMMAND, [])
      const attestor = attestorFor(command, { facts: kernelFacts(process.pid) })
      const script = `(setsid "$0" -e "$1" ${gate.port} & echo $!) & wait`
      const said = createInterface({ input: command.stdout ?? process.stdin })[Symbol.asyncIterator]()
      command.stdin?.write(`${JSON.stringify(['sh', '-c', script, process.execPath, CALLER])}\n`)
      const pids = [Number((await said.next()).value), Number((await said.next()).value)]
      const caller = await outcome(attestor, await arriving())
      expect(caller).toMatchObject({ proofs: ['kernel', 'run-token'] })
      expect(pids).toContain(typeof caller === 'object' ? caller.pid : undefined)
    })

    test('accepts a UNIX peer of the tree and refuses another', async () => {
      const command = start(CALLER, [String(gate.port)])
      const tcp = await arriving()
      const peer = { pid: command.pid ?? 0, uid: uid ?? 0, gid: 0 }
      const unix: Connection = { ...tcp, transport: 'unix', remoteAddress: undefined, peer }
      expect(await outcome(attestorFor(command), unix)).toMatchObject({
        proofs: ['kernel', 'run-token'],
        ...{ pid: command.pid },
      })
      for (const pid of [0, 1, process.pid, process.ppid])
        expect(await outcome(attestorFor(command), { ...unix, peer: { ...peer, pid } })).toBe(
          `unidentified_caller: kernel: process ${pid} does not descend from the command`,
        )
      expect(await outcome(attestorFor(command), { ...unix, peer: { ...peer, uid: 4242 } })).toMatch(/runs as uid 4242/)
    })
  },
)
