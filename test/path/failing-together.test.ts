// What fails together, such as all that wait for one host, is refused a little at a time.
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { once } from 'node:events'
import { Agent, type IncomingMessage, request, type ServerResponse } from 'node:http'
import { text } from 'node:stream/consumers'
import { expect, it } from 'vitest'
import { perTurn } from '../../proxy/turns.ts'
import { agentsListener, openGate } from '../support/gate.ts'
import { httpUpstream } from '../support/upstream.ts'

const many = 200

it('of requests that fail together, no more are refused in a turn of the event loop than answers are passed on', async () => {
  const upstream = await httpUpstream(() => {})
  await using gate = await openGate(`${agentsListener}
resolve: { localhost: [127.0.0.1] }
destinations:
  api: { hosts: [localhost], protocol: http, ports: [${upstream.port}], addresses: [127.0.0.0/8], timeouts: { headers: 1s } }
rules: [{ name: all, allow: { agents: ["spiffe://acme.example/*"], to: [api] } }]
`)
  const agent = new Agent({ keepAlive: true, maxSockets: many })
  const authority = `localhost:${upstream.port}`
  let turn = 0
  let over = false
  const count = () => {
    turn += 1
    if (!over) setImmediate(count)
  }
  count()
  const refusedIn = new Map<number, number>()
  const finished = (message: unknown) => {
    if ((message as { response: ServerResponse }).response.statusCode !== 504) return
    refusedIn.set(turn, (refusedIn.get(turn) ?? 0) + 1)
  }
  subscribe('http.server.response.finish', finished)
  try {
    const answers = await Promise.all(
      Array.from({ length: many }, async () => {
        const asked = request({
          agent,
          host: '127.0.0.1',
          port: gate.port(),
          path: `http://${authority}/never`,
          headers: { host: authority },
        }).end()
        const [answer] = (await once(asked, 'response')) as [IncomingMessage]
        return `${answer.statusCode} ${JSON.parse(await text(answer)).reason}`
      }),
    )
    expect(new Set(answers)).toEqual(new Set(['504 upstream_timeout']))
    expect([...refusedIn.values()].reduce((sum, each) => sum + each)).toBe(many)
    expect(Math.max(...refusedIn.values())).toBeLessThanOrEqual(perTurn.answers.alone)
  } finally {
    over = true
    unsubscribe('http.server.response.finish', finished)
    agent.destroy()
    await upstream.close()
  }
})
