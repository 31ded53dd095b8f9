// What it costs to know the caller: an X509-SVID validated for the first time and again, and the kernel's word on a connection.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer, type Server, type Socket } from 'node:net'
import { SvidValidator } from '../../certs/svid/validator.ts'
import { kernelFacts } from '../../proxy/identify/kernel/facts.ts'
import { addressBytes, type TcpEnds } from '../../proxy/identify/kernel/tcp-ends.ts'
import { type KeyKind, makeAuthority, makeBundle, makeKey, makeSvid } from '../../test/support/pki.ts'
import { decimal } from '../format.ts'
import type { Findings, Scenario } from './scenario.ts'

const kinds: Readonly<Record<string, KeyKind>> = { 'P-256': 'p256', 'P-384': 'p384', 'RSA 2048': 'rsa2048' }
const rounds = 20
const chains = 50
const connections = 100

export const identity: Scenario = {
  name: 'identity',
  async run() {
    const svids = Object.entries(kinds).map(([name, kind]) => ({ name, ...validation(kind) }))
    const kernel = await kernelsWord()
    return {
      table: {
        title: 'Who is calling',
        columns: ['what', 'µs'],
        rows: [
          ...svids.flatMap(({ name, first, cold, cached }) => [
            [`X509-SVID ${name}, the first of its intermediate`, decimal(first, 0)],
            [`X509-SVID ${name}, another of the same`, decimal(cold, 0)],
            [`X509-SVID ${name}, the same again`, decimal(cached, 1)],
          ]),
          ['whose user a TCP connection is, by the kernel', decimal(kernel.user, 1)],
          ['which process of a command it is', decimal(kernel.process, 1)],
        ],
        notes: [
          `The best of ${rounds} rounds. The kernel is asked once for each connection; the command holds ${connections} of them.`,
        ],
      },
      figures: figuresOf(svids, kernel),
    }
  },
}

interface Validation {
  /** Microseconds, as the others: no certificate has been seen yet but the root. */
  readonly first: number
  /** The intermediate has been seen. */
  readonly cold: number
  readonly cached: number
}

function validation(kind: KeyKind): Validation {
  const root = makeAuthority({ key: makeKey(kind) })
  const middle = makeAuthority({ key: makeKey(kind), parent: root })
  const presented = Array.from(
    { length: chains },
    () => makeSvid(middle, 'spiffe://acme.example/agent', { key: makeKey(kind) }).chain,
  )
  const best = { first: Number.POSITIVE_INFINITY, cold: Number.POSITIVE_INFINITY, cached: Number.POSITIVE_INFINITY }
  for (let round = 0; round < rounds; round++) {
    const bundle = makeBundle('acme.example', root)
    const validator = new SvidValidator({ bundleFor: () => bundle, now: Date.now })
    const [one = [], ...others] = presented
    best.first = Math.min(
      best.first,
      microseconds(1, () => validator.validate(one)),
    )
    const validateOthers = () => {
      for (const chain of others) validator.validate(chain)
    }
    best.cold = Math.min(best.cold, microseconds(others.length, validateOthers))
    best.cached = Math.min(best.cached, microseconds(others.length, validateOthers))
  }
  return best
}

interface KernelsWord {
  readonly user: number
  readonly process: number
}

/** A command opens connections, and it is asked whose they are, as for a caller that has just connected. */
async function kernelsWord(): Promise<KernelsWord> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const accepted: Socket[] = []
  const all = new Promise<void>((resolve) => {
    server.on('connection', (socket) => {
      if (accepted.push(socket) === connections) resolve()
    })
  })
  const child = spawn(process.execPath, ['-e', commandFor(server)], { stdio: 'ignore' })
  try {
    await all
    return askKernel(accepted, child.pid ?? 0)
  } finally {
    for (const socket of accepted) socket.destroy()
    child.kill()
    server.close()
  }
}

function askKernel(accepted: readonly Socket[], command: number): KernelsWord {
  const ends = accepted.map(callersEnds)
  const best = { user: Number.POSITIVE_INFINITY, process: Number.POSITIVE_INFINITY }
  for (let round = 0; round < rounds; round++) {
    const facts = kernelFacts()
    const owners = ends.map((each) => facts.socketOwner(each))
    // The command's tree is looked through once; after that only newcomers cost a walk.
    facts.holderOf(owners[0]?.inode ?? 0, command)
    const askUsers = () => {
      for (const each of ends) facts.socketOwner(each)
    }
    const askProcesses = () => {
      for (const owner of owners) if (owner !== undefined) facts.holderOf(owner.inode, command)
    }
    best.user = Math.min(best.user, microseconds(ends.length, askUsers))
    best.process = Math.min(best.process, microseconds(ends.length, askProcesses))
  }
  return best
}

function commandFor(server: Server): string {
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('the server has no port')
  return `for (let i = 0; i < ${connections}; i++) require('node:net').connect(${address.port}, '127.0.0.1')`
}

function callersEnds({ remoteAddress, remotePort, localAddress, localPort }: Socket): TcpEnds {
  const local = addressBytes(remoteAddress ?? '')
  const remote = addressBytes(localAddress ?? '')
  if (local === undefined || remote === undefined) throw new Error('a connection has gone')
  return { local: { address: local, port: remotePort ?? 0 }, remote: { address: remote, port: localPort ?? 0 } }
}

function microseconds(times: number, act: () => void): number {
  const start = performance.now()
  act()
  return ((performance.now() - start) * 1_000) / times
}

function figuresOf(
  svids: readonly (Validation & { readonly name: string })[],
  { user, process }: KernelsWord,
): Findings['figures'] {
  return Object.fromEntries([
    ...svids.flatMap(({ name, cold, cached }) => [
      [`identity: ${name} cold µs`, cold],
      [`identity: ${name} cached µs`, cached],
    ]),
    ['identity: kernel user µs', user],
    ['identity: kernel process µs', process],
  ])
}
