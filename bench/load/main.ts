// The load, a process of its own: takes one order at a time over the channel to its parent and answers it.
import type { TLSSocket } from 'node:tls'
import { measureStreams, moveBody } from './bodies.ts'
import { closeAll, open, openMany, readAnswers, requestHead } from './connection.ts'
import type { Answer, Ask, OrderName, Route } from './orders.ts'
import { measureLatency, measureThroughput } from './requests.ts'

let held: TLSSocket[] = []

const handlers: { [Name in OrderName]: (ask: Ask<Name>) => Promise<Answer<Name>> } = {
  check,
  throughput: measureThroughput,
  latency: measureLatency,
  streams: measureStreams,
  body: moveBody,
  hold,
  release,
}

async function check({ route }: Ask<'check'>): Promise<Answer<'check'>> {
  const socket = await open(route)
  const body = await answerOn(socket, route, '/check')
  await closeAll([socket])
  return JSON.parse(body)
}

async function hold({ route, connections }: Ask<'hold'>): Promise<Answer<'hold'>> {
  held = await openMany(route, connections)
  for (const socket of held) await answerOn(socket, route, '/1k')
  return { open: held.filter((socket) => !socket.closed).length }
}

async function release(): Promise<Answer<'release'>> {
  await closeAll(held)
  held = []
  return {}
}

function answerOn(socket: TLSSocket, route: Route, path: string): Promise<string> {
  return new Promise((resolve) => {
    let body = ''
    readAnswers(socket, {
      body(piece) {
        body += piece.toString()
      },
      done() {
        resolve(body)
      },
    })
    socket.write(requestHead(route, 'GET', path))
  })
}

function run<Name extends OrderName>(name: Name, ask: Ask<Name>): Promise<Answer<Name>> {
  return handlers[name](ask)
}

process.on('message', async ({ name, ask }: { name: OrderName; ask: Ask<OrderName> }) => {
  process.send?.({ answer: await run(name, ask) })
})
process.on('disconnect', () => process.exit(0))
