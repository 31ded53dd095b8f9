// Streams of events, and bodies of a gigabyte.
import { once } from 'node:events'
import { percentile } from '../statistics.ts'
import { now, pause } from './clock.ts'
import { closeAll, open, openMany, readAnswers, requestHead } from './connection.ts'
import type { Answer, Ask } from './orders.ts'

export async function measureStreams(ask: Ask<'streams'>): Promise<Answer<'streams'>> {
  const sockets = await openMany(ask.route, ask.streams)
  const request = requestHead(ask.route, 'GET', '/events')
  const delays: number[] = []
  let counting = false
  for (const socket of sockets) {
    readAnswers(socket, {
      body(piece) {
        const arrived = now()
        if (!counting) return
        for (const [, written] of piece.toString('latin1').matchAll(/"at":"(\d+)"/g))
          delays.push(arrived - Number(written) / 1e6)
      },
      done() {
        throw new Error('a stream ended')
      },
    })
    socket.write(request)
  }
  await pause(ask.warmup * 1000)
  counting = true
  await pause(ask.seconds * 1000)
  counting = false
  await closeAll(sockets)
  return { p50: percentile(delays, 0.5), p99: percentile(delays, 0.99), events: delays.length }
}

export async function moveBody(ask: Ask<'body'>): Promise<Answer<'body'>> {
  const socket = await open(ask.route)
  const began = now()
  let received = 0
  const complete = new Promise<void>((resolve) => {
    readAnswers(socket, {
      body(piece) {
        received += piece.length
      },
      done: resolve,
    })
  })
  if (ask.direction === 'down') socket.write(requestHead(ask.route, 'GET', `/bytes/${ask.bytes}`))
  else {
    socket.write(requestHead(ask.route, 'POST', '/sink', `content-length: ${ask.bytes}\r\n`))
    const piece = Buffer.alloc(65_536, 'a piece of a large upload ')
    for (let sent = 0; sent < ask.bytes; sent += piece.length)
      if (!socket.write(piece.subarray(0, Math.min(piece.length, ask.bytes - sent)))) await once(socket, 'drain')
  }
  await complete
  if (ask.direction === 'down' && received !== ask.bytes) throw new Error(`${received} bytes of ${ask.bytes} arrived`)
  const seconds = (now() - began) / 1000
  await closeAll([socket])
  return { seconds }
}
