// What agents do in the long run, each kind with its rate. Every answer is looked at: a wrong one counts as failed.
import { once } from 'node:events'
import { Agent, type IncomingMessage, request } from 'node:http'
import { text } from 'node:stream/consumers'
import { setTimeout as pause } from 'node:timers/promises'
import { askToStop } from '../../proxy/record/admin-client.ts'
import { call, delegated, reasonIn, reference } from '../support/agents-door.ts'
import { agentId } from '../support/gate.ts'
import { through } from '../support/through.ts'
import { WireClient } from '../support/wire-client.ts'
import type { Work } from './pace.ts'
import { hosts, type World } from './world.ts'

/** Of the requests in the long run; with the streams, tunnels and refusals about 150 a second. */
export function workOf(world: World, ca: string): readonly Work[] {
  const { proxy, ports } = world
  const port = proxy.port('agents')
  const authority = `localhost:${ports.clear}`
  const base = `http://${authority}`
  const kept = new Agent({ keepAlive: true, maxSockets: 16 })

  const ask = async (
    path: string,
    { method = 'GET', body, agent = kept }: { method?: string; body?: Buffer; agent?: Agent | false } = {},
  ): Promise<IncomingMessage> => {
    const asked = request({
      host: '127.0.0.1',
      port,
      path: `${base}${path}`,
      method,
      agent,
      headers: { host: authority },
    })
    asked.end(body)
    const [answer] = await once(asked, 'response')
    return answer
  }
  const fetched = async (path: string, expected: string | RegExp, method = 'GET', body = Buffer.alloc(0)) => {
    const answer = await ask(path, { method, body })
    expectText(await text(answer), expected)
  }
  const tunnel = (number: number) => through({ port, ca }, hosts[number % hosts.length] ?? '', ports.tls)
  const get = (number: number, path: string) => [
    `GET ${path} HTTP/1.1`,
    `Host: ${hosts[number % hosts.length]}:${ports.tls}`,
  ]

  return [
    { name: 'plain requests', rate: 70, once: () => fetched('/without/contacts', 'as asked') },
    { name: 'requests with a token', rate: 25, once: () => fetched('/with/contacts', 'as asked') },
    { name: 'answers that give the token back', rate: 4, once: () => fetched('/with/echo', /^you showed Bearer \*+$/) },
    { name: 'large answers', rate: 1, once: () => fetched('/without/large', /^/) },
    {
      name: 'uploads',
      rate: 4,
      once: () => fetched('/without/upload', 'taken', 'POST', Buffer.alloc(128 << 10)),
    },
    { name: 'requests that no rule allows', rate: 8, once: () => fetched('/nowhere', /"reason":"no_rule"/) },
    { name: 'requests that a rule denies', rate: 8, once: () => fetched('/with/1', /"denied_by_rule"/, 'DELETE') },
    {
      name: 'requests that are no HTTP',
      rate: 3,
      async once() {
        await using client = await WireClient.open({ host: '127.0.0.1', port })
        client.send(`GET ${base}/without/1 HTTP/1.1\r\nHost : ${authority}\r\n\r\n`)
        expectText((await client.head()).status.toString(), '400')
      },
    },
    {
      name: 'new connections with TLS',
      rate: 4,
      async once(number) {
        await using client = await tunnel(number)
        for (const path of ['/with/contacts', '/without/contacts'])
          expectText((await client.request(get(number, path))).text, 'as asked')
      },
    },
    {
      name: 'callers with an X509-SVID',
      rate: 2,
      async once() {
        const to = { host: '127.0.0.1', port: proxy.port('mesh') }
        await using client = await WireClient.open(to, { rejectUnauthorized: false, ...world.showSvid() })
        expectText((await client.request([`GET ${base}/with/mesh HTTP/1.1`, `Host: ${authority}`])).text, 'as asked')
      },
    },
    {
      name: 'event streams',
      rate: 2,
      async once(number) {
        const answer = await ask('/with/events', { agent: false })
        for await (const chunk of answer) {
          const told = /^data: (\d+)/.exec(String(chunk))?.[1]
          if (Number(told) >= 10 + (number % 30)) break
        }
        answer.destroy()
      },
    },
    {
      name: 'clients that go while they wait',
      rate: 3,
      async once(number) {
        const asked = request({
          host: '127.0.0.1',
          port,
          path: `${base}/with/never`,
          agent: false,
          headers: { host: authority },
        })
        asked.on('error', () => {}).end()
        await pause(50 + (number % 200))
        asked.destroy()
      },
    },
    {
      name: 'WebSockets',
      rate: 1,
      async once(number) {
        await using client = await tunnel(number)
        client.send(
          [
            ...get(number, '/with/socket'),
            'Connection: Upgrade',
            'Upgrade: websocket',
            'Sec-WebSocket-Version: 13',
            'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
            '',
            '',
          ].join('\r\n'),
        )
        expectText((await client.head()).status.toString(), '101')
        for (let count = 0; count < 20; count++) {
          client.send(Buffer.from([0x89, 0x80, 1, 2, 3, 4]))
          await client.exactly(2)
          await pause(200)
        }
      },
    },
    {
      name: 'delegations, each with a request, some stopped',
      rate: 2,
      async once(number) {
        const made = await delegated(port, { to: `${agentId}/task-${number % 500}`, scopes: ['crm.read'], ttl: 120 })
        const fields = [reference(made.handle)]
        expectText((await call(port, `${base}/with/contacts`, { fields })).text, 'as asked')
        if (number % 10 !== 0) return
        await askToStop(world.adminSocket, { what: { kind: 'txn', id: made.txn }, reason: 'a drill', for: '1m' })
        expectText(reasonIn(await call(port, `${base}/with/contacts`, { fields })), 'chain_revoked')
      },
    },
  ]
}

function expectText(got: string, expected: string | RegExp): void {
  const fits = typeof expected === 'string' ? got === expected : expected.test(got)
  if (!fits) throw new Error(`${expected} was expected: ${got.slice(0, 300)}`)
}
