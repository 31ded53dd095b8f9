// Requests one after the other, in a closed loop for throughput and in an open one for latency.
import type { TLSSocket } from 'node:tls'
import { cpuSeconds } from '../machine.ts'
import { percentile } from '../statistics.ts'
import { beatSteadily, now, pause } from './clock.ts'
import { closeAll, openMany, readAnswers, requestHead } from './connection.ts'
import type { Answer, Ask } from './orders.ts'

export async function measureThroughput(ask: Ask<'throughput'>): Promise<Answer<'throughput'>> {
  const sockets = await openMany(ask.route, ask.connections)
  const request = requestHead(ask.route, 'GET', ask.path)
  let answered = 0
  for (const socket of sockets) {
    readAnswers(socket, {
      done() {
        answered += 1
        socket.write(request)
      },
    })
    socket.write(request)
  }
  await pause(ask.warmup * 1000)
  const before = { at: now(), answered, spent: cpuOf(ask.processes) }
  await pause(ask.seconds * 1000)
  const seconds = (now() - before.at) / 1000
  const perSecond = (answered - before.answered) / seconds
  const shares = Object.entries(cpuOf(ask.processes)).map(([name, spent]) => {
    const earlier = before.spent[name]
    return [name, spent === undefined || earlier === undefined ? undefined : (spent - earlier) / seconds] as const
  })
  await closeAll(sockets)
  return { perSecond, shares: Object.fromEntries(shares) }
}

function cpuOf(processes: Readonly<Record<string, number>>): Record<string, number | undefined> {
  return Object.fromEntries(Object.entries(processes).map(([name, pid]) => [name, cpuSeconds(pid)]))
}

/** Requests fall due whether or not earlier ones are answered; one that must wait for a free connection has waited. */
export async function measureLatency(ask: Ask<'latency'>): Promise<Answer<'latency'>> {
  const sockets = await openMany(ask.route, ask.connections)
  const request = requestHead(ask.route, 'GET', ask.path)
  const idle: TLSSocket[] = [...sockets]
  const waiting: number[] = []
  const dueOf = new Map<TLSSocket, number>()
  const taken: number[] = []
  const from = now() + ask.warmup * 1000
  let allAnswered: (() => void) | undefined

  const send = (socket: TLSSocket, due: number): void => {
    dueOf.set(socket, due)
    socket.write(request)
  }
  for (const socket of sockets) {
    readAnswers(socket, {
      done() {
        const due = dueOf.get(socket)
        if (due !== undefined && due >= from) taken.push(now() - due)
        const next = waiting.shift()
        if (next !== undefined) return send(socket, next)
        idle.push(socket)
        if (idle.length === sockets.length) allAnswered?.()
        return undefined
      },
    })
  }
  await beatSteadily(ask.rate, ask.warmup + ask.seconds, (due) => {
    const socket = idle.pop()
    if (socket === undefined) waiting.push(due)
    else send(socket, due)
  })
  if (idle.length < sockets.length)
    await new Promise<void>((resolve) => {
      allAnswered = resolve
    })
  await closeAll(sockets)
  return { p50: percentile(taken, 0.5), p99: percentile(taken, 0.99), perSecond: taken.length / ask.seconds }
}
