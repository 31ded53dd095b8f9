// The other caller, in a process of its own: ordinary requests at a steady rate, and looks at /readyz; tells how long each took.
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { Agent, type ClientRequest, request } from 'node:http'
import { connect } from 'node:tls'

export interface VictimOrders {
  readonly mesh: number
  readonly health: number
  readonly upstream: number
  /** Of the proxy. */
  readonly pid: number
  readonly svid: { readonly cert: string; readonly key: string }
}

/** Milliseconds of each, and how many failed. */
export interface Felt {
  readonly requests: readonly number[]
  /** What the proxy's thread worked, on whatever, while each of the requests was under way. */
  readonly worked: readonly number[]
  /** The part of the whole time for which the proxy's thread could not run because others had its core; undefined: cannot be told. */
  readonly stolen: number | undefined
  readonly ready: readonly number[]
  /** The same requests without the proxy: what the machine and the load beside it cost alone. */
  readonly direct: readonly number[]
  readonly failed: number
}

/** Requests a second, and looks at /readyz. */
const rate = { requests: 100, ready: 20 }

function serve({ mesh, health, upstream, svid, pid }: VictimOrders): void {
  const agent = new Agent({ keepAlive: true, maxSockets: 8 })
  agent.createConnection = () => connect({ host: '127.0.0.1', port: mesh, rejectUnauthorized: false, ...svid })
  const authority = `localhost:${upstream}`
  const ask = () => request({ agent, host: '127.0.0.1', path: `http://${authority}/x`, headers: { host: authority } })
  const direct = new Agent({ keepAlive: true, maxSockets: 8 })
  const askDirectly = () => request({ agent: direct, host: '127.0.0.1', port: upstream, path: '/x' })
  const look = () => request({ agent: false, host: '127.0.0.1', port: health, path: '/readyz' })

  process.on('message', (milliseconds: number) => {
    void measured(milliseconds).then((felt) => process.send?.(felt))
  })

  async function measured(milliseconds: number): Promise<Felt> {
    const felt = {
      requests: [] as number[],
      worked: [] as number[],
      ready: [] as number[],
      direct: [] as number[],
      failed: 0,
    }
    const [began, before] = [performance.now(), threadOf(pid)]
    const until = began + milliseconds
    const all: Promise<void>[] = []
    const every = (pause: number, make: () => ClientRequest, into: number[], worked?: number[]) =>
      new Promise<void>((done) => {
        const timer = setInterval(() => {
          if (performance.now() > until) {
            clearInterval(timer)
            return done()
          }
          all.push(timed(make, into, worked))
        }, pause)
      })
    const timed = async (make: () => ClientRequest, into: number[], worked?: number[]) => {
      const began = performance.now()
      const ran = worked === undefined ? 0 : (threadOf(pid)?.ran ?? 0)
      try {
        const [answer] = await once(make().end(), 'response')
        answer.resume()
        await once(answer, 'end')
        if (answer.statusCode !== 200) felt.failed += 1
      } catch {
        felt.failed += 1
      }
      into.push(performance.now() - began)
      worked?.push((threadOf(pid)?.ran ?? 0) - ran)
    }
    await Promise.all([
      every(1_000 / rate.requests, ask, felt.requests, felt.worked),
      every(1_000 / rate.requests, askDirectly, felt.direct),
      every(1_000 / rate.ready, look, felt.ready),
    ])
    await Promise.all(all)
    const after = threadOf(pid)
    const waited = before === undefined || after === undefined ? undefined : after.waited - before.waited
    return { ...felt, stolen: waited === undefined ? undefined : waited / (performance.now() - began) }
  }
}

/** Milliseconds that the main thread has run, and that it was ready to and could not; where Linux tells them. */
function threadOf(pid: number): { readonly ran: number; readonly waited: number } | undefined {
  try {
    const [ran = 0, waited = 0] = readFileSync(`/proc/${pid}/schedstat`, 'latin1').split(' ').map(Number)
    return { ran: ran / 1e6, waited: waited / 1e6 }
  } catch {
    return undefined
  }
}

process.once('message', (orders: VictimOrders) => {
  serve(orders)
  process.send?.('ready')
})
