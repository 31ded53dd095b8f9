// For the tests of what the kernel says: a server that hands over each accepted connection, and programs that call it.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer, type Server, type Socket } from 'node:net'
import type { Connection } from '../../../../proxy/exchange.ts'
import { Secret } from '../../../../proxy/secret.ts'

/** A program that connects to the port in its first argument and stays until the other side ends. */
export const CALLER = `require('node:net').connect(Number(process.argv[1]), '127.0.0.1').resume()`

export interface Gate {
  readonly port: number
  /** The next connection that nobody has taken yet. */
  next(): Promise<Socket>
  close(): Promise<void>
}

export async function openGate(): Promise<Gate> {
  const waiting: Socket[] = []
  const sockets = new Set<Socket>()
  const server: Server = createServer((socket) => {
    sockets.add(socket)
    socket.on('error', () => undefined)
    waiting.push(socket)
    server.emit('queued')
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('not TCP')
  return {
    port: address.port,
    async next() {
      for (;;) {
        const socket = waiting.shift()
        if (socket !== undefined) return socket
        await once(server, 'queued')
      }
    },
    async close() {
      for (const socket of sockets) socket.destroy()
      server.close()
      await once(server, 'close')
    },
  }
}

/** What a listener would make of an accepted socket, and of the Proxy-Authorization that came over it. */
export function connectionOf(socket: Socket, proxyAuthorization?: string): Connection {
  return {
    id: 'connection',
    listener: 'exec',
    accept: 'http-proxy',
    transport: 'tcp',
    remoteAddress: socket.remoteAddress,
    remotePort: socket.remotePort,
    localAddress: socket.localAddress,
    localPort: socket.localPort,
    peerCertificates: [],
    proxyAuthorization:
      proxyAuthorization === undefined ? undefined : new Secret('proxy-authorization', proxyAuthorization),
  }
}

export const basic = (user: string, password: string): string =>
  `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`

/** Starts a Node program; `options.uid` needs root. */
export function startProgram(program: string, argv: readonly string[], options: { uid?: number } = {}): ChildProcess {
  return spawn(process.execPath, ['-e', program, ...argv], { stdio: ['pipe', 'pipe', 'inherit'], ...options })
}

/** Ends a child of ours and waits until it is gone. */
export async function endProgram(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  child.kill('SIGKILL')
  await once(child, 'exit')
}
