// A program: makes the network of a new namespace, opens the proxy's sockets in it, hands them to the proxy outside, and ends. It alone has capabilities there.
import { spawnSync } from 'node:child_process'
import { createSocket, type Socket as DatagramSocket } from 'node:dgram'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { createServer, type Server } from 'node:net'
import { nativeCalls } from '../../../proxy/identify/kernel/native.ts'
import type { Purpose, Word } from './handing-over.ts'
import { loopbackV4, loopbackV6, ports, ruleset } from './wall.ts'

const patience = 10_000

/** @throws Error with what the program said */
function run(program: string, argv: readonly string[], input: string): void {
  const { status, stderr, error } = spawnSync(program, argv, { input, encoding: 'utf8', timeout: patience })
  if (status !== 0) throw new Error(`${program}: ${error?.message ?? stderr.trim().split('\n')[0]}`)
}

async function listening<Of extends Server | DatagramSocket>(socket: Of): Promise<Of> {
  await once(socket, 'listening')
  return socket
}

const streams = (host: string, port: number) => listening(createServer().listen({ host, port }))
const datagrams = (host: string, of: 'udp4' | 'udp6') =>
  listening(createSocket(of).bind({ address: host, port: ports.dns, exclusive: true }))

/** In a process that was started without a channel there is nobody to tell. */
function tell(word: Word, socket?: Server | DatagramSocket): Promise<void> {
  return new Promise((resolve, reject) => {
    const told = (error: Error | null) => (error === null ? resolve() : reject(error))
    if (process.send?.(word, socket, {}, told) === undefined) reject(new Error('nobody to hand anything over to'))
  })
}

async function open([ip = 'ip', nft = 'nft', ...localhost]: readonly string[]): Promise<void> {
  const v6 = existsSync('/proc/sys/net/ipv6')
  run(ip, ['-batch', '-'], loopbackV4)
  if (v6) run(ip, ['-6', '-batch', '-'], loopbackV6)
  run(nft, ['-f', '-'], ruleset)
  const sockets: [Purpose, Promise<Server | DatagramSocket>][] = [
    ['proxy', streams('127.0.0.1', ports.proxy)],
    ['redirected4', streams('127.0.0.1', ports.redirected)],
    ['datagrams4', datagrams('127.0.0.1', 'udp4')],
    ['streams4', streams('127.0.0.1', ports.dns)],
  ]
  if (v6) {
    sockets.push(
      ['redirected6', streams('::1', ports.redirected)],
      ['datagrams6', datagrams('::1', 'udp6')],
      ['streams6', streams('::1', ports.dns)],
    )
  }
  for (const [purpose, socket] of sockets) await tell({ socket: purpose }, await socket)
  for (const port of localhost.map(Number))
    for (const host of v6 ? ['127.0.0.1', '::1'] : ['127.0.0.1'])
      await tell({ localhost: port }, await streams(host, port))
  await tell({ ready: true, pid: process.pid, diagnosis: nativeCalls()?.openDiagnosis() })
}

// The one word that comes says that all has been taken.
process.once('message', () => process.exit(0))
// Whoever was to say it may be gone before that; while a socket is on its way, Node has no event for it.
setInterval(() => {
  if (process.connected !== true) process.exit(1)
}, 100)
try {
  await open(process.argv.slice(2))
} catch (error) {
  await tell({ problem: error instanceof Error ? error.message : String(error) }).catch(() => {})
  process.exit(1)
}
