// What the baselines have in common: they take CONNECT from anyone and show one ready-made certificate.
// They are told in their environment: BENCH_PORT, BENCH_UPSTREAM_PORT, BENCH_HOST, BENCH_CA, BENCH_CERT, BENCH_KEY (PEM).
import { createServer, type Socket } from 'node:net'
import { createSecureContext, TLSSocket } from 'node:tls'
import { fileURLToPath } from 'node:url'
import type { Setting, Subject } from './subject.ts'

export function leanSubject(name: string, file: string): Subject {
  return {
    name,
    injects: false,
    prepare: async (setting: Setting) => ({
      args: [fileURLToPath(new URL(file, import.meta.url))],
      ipc: true,
      env: {
        BENCH_PORT: String(setting.port),
        BENCH_UPSTREAM_PORT: String(setting.upstreamPort),
        BENCH_HOST: setting.host,
        BENCH_CA: setting.authority,
        BENCH_CERT: setting.pair.cert,
        BENCH_KEY: setting.pair.key,
      },
    }),
  }
}

export const upstream = {
  host: '127.0.0.1',
  port: Number(process.env.BENCH_UPSTREAM_PORT),
  servername: process.env.BENCH_HOST ?? '',
  ca: process.env.BENCH_CA ?? '',
}

export const pair = { cert: process.env.BENCH_CERT ?? '', key: process.env.BENCH_KEY ?? '' }

/** Answers each CONNECT with 200 and hands over what is inside, TLS taken off. */
export function acceptTunnels(take: (inside: TLSSocket) => void): void {
  acceptConnects((socket) => take(terminate(socket)))
}

/** Answers each CONNECT with 200 and hands over the raw connection. */
export function acceptConnects(take: (socket: Socket) => void): void {
  const server = createServer({ noDelay: true }, (socket) => {
    socket.on('error', () => socket.destroy())
    socket.once('data', (head: Buffer) => {
      if (!head.toString('latin1').endsWith('\r\n\r\n')) return socket.destroy()
      socket.pause()
      take(socket)
      socket.write('HTTP/1.1 200 Connection established\r\n\r\n')
      return undefined
    })
  })
  // An orderly exit, so that a profile is written.
  process.once('SIGTERM', () => process.exit(0))
  // And none is left behind when the run ends before its time.
  process.on('disconnect', () => process.exit(0))
  server.listen(Number(process.env.BENCH_PORT), '127.0.0.1', 4096)
}

const secureContext = createSecureContext(pair)

function terminate(socket: Socket): TLSSocket {
  const inside = new TLSSocket(socket, { isServer: true, secureContext, ALPNProtocols: ['http/1.1'] })
  inside.on('error', () => inside.destroy())
  return inside
}
