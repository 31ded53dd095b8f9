// Asks a DNS server of one's own choice one question, as a program that does not care for resolv.conf: to see who answers.
import { createSocket } from 'node:dgram'
import { connect } from 'node:net'

export const dnsTypes = { A: 1, TXT: 16 } as const

/** The response code and how many records it has; or the error, `ETIMEDOUT` where nobody answers. */
export type DnsTold = { readonly code: number; readonly answers: number } | { readonly error: string }

/** @param patience milliseconds */
export function askDnsOverUdp(server: string, name: string, type: number, patience: number): Promise<DnsTold> {
  return new Promise((resolve) => {
    const socket = createSocket(server.includes(':') ? 'udp6' : 'udp4')
    let settled = false
    const settle = (told: DnsTold) => {
      if (settled) return
      settled = true
      clearTimeout(timer)
      socket.close()
      resolve(told)
    }
    const timer = setTimeout(() => settle({ error: 'ETIMEDOUT' }), patience)
    socket.on('error', (error) => settle(failure(error)))
    socket.on('message', (message) => settle(read(message)))
    // By an event, since a function given to `connect` is called where it fails, too.
    socket.once('connect', () => {
      socket.send(queryOf(name, type), (error) => {
        if (error !== null) settle(failure(error))
      })
    })
    // Connected, so that the kernel says it when the packet is refused, and nobody else can answer.
    socket.connect(53, server)
  })
}

/** @param patience milliseconds */
export function askDnsOverTcp(server: string, name: string, type: number, patience: number): Promise<DnsTold> {
  return new Promise((resolve) => {
    const socket = connect({ host: server, port: 53 })
    let held = Buffer.alloc(0)
    const settle = (told: DnsTold) => {
      clearTimeout(timer)
      socket.destroy()
      resolve(told)
    }
    const timer = setTimeout(() => settle({ error: 'ETIMEDOUT' }), patience)
    socket.once('connect', () => {
      const query = queryOf(name, type)
      const length = Buffer.alloc(2)
      length.writeUInt16BE(query.length)
      socket.write(Buffer.concat([length, query]))
    })
    socket.on('data', (bytes: Buffer) => {
      held = Buffer.concat([held, bytes])
      if (held.length >= 14) settle(read(Buffer.from(held.subarray(2))))
    })
    socket.once('end', () => settle({ error: 'ECONNRESET' }))
    socket.once('error', (error) => settle(failure(error)))
  })
}

/** One question, recursion desired (RFC 1035 §4.1). */
export function queryOf(name: string, type: number): Buffer {
  const labels = name.split('.').map((label) => Buffer.concat([Buffer.from([label.length]), Buffer.from(label)]))
  const header = Buffer.from([0x70, 0x73, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0])
  return Buffer.concat([header, ...labels, Buffer.from([0, 0, type, 0, 1])])
}

function read(message: Buffer): DnsTold {
  if (message.length < 12) return { error: 'EBADMSG' }
  return { code: message.readUInt8(3) & 15, answers: message.readUInt16BE(6) }
}

const failure = (error: Error): DnsTold => ({ error: (error as NodeJS.ErrnoException).code ?? error.message })
