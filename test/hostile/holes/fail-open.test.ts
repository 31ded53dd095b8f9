// Holes that open when something fails: what cannot be looked into, decided or obtained passes all the same.

import { once } from 'node:events'
import { connect as connectTls } from 'node:tls'
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest'
import { redirectedPorts } from '../../../proxy/capture/redirected-ports.ts'
import { freePorts } from '../../support/free-port.ts'
import { agentId, agentsListener, openGate } from '../../support/gate.ts'
import { reasonOf } from '../../support/through.ts'
import { WireClient } from '../../support/wire-client.ts'
import { openWorld, type World } from './world.ts'

let world: World

beforeAll(async () => {
  world = await openWorld({
    destinations: ({
      tls,
      raw,
    }) => `  shadowed: { hosts: [shadowed.example], protocol: http, ports: [${raw}], addresses: [127.0.0.0/8] }
  untrusted: { hosts: [untrusted.example], ports: [${tls}], addresses: [127.0.0.0/8] }
  unmade: { hosts: [unmade.example], ports: [${tls}], addresses: [127.0.0.0/8], ca: [ca.pem] }
`,
    credentials: '  unmade-key: { kind: file, path: not-there, for: [unmade] }\n',
    names:
      ', shadowed.example: [127.0.0.1], untrusted.example: [127.0.0.1], unmade.example: [127.0.0.1], unknown.example: [127.0.0.1]',
    rules: `  - { name: large-counts, deny: { to: free, paths: [/counted] }, when: 'int(request.headers["x-count"]) > 5' }
  - { name: shadow-allows-all, mode: shadow, allow: { agents: [${agentId}], to: shadowed } }
  - { name: calls-the-untrusted, allow: { agents: [${agentId}], to: untrusted } }
  - { name: calls-the-unmade, allow: { agents: [${agentId}], to: unmade }, use: unmade-key }
  - { name: may-read, allow: { agents: [${agentId}], to: free, paths: [/secret], methods: [GET] } }
  - { name: nobody-reads-the-secret, deny: { paths: [/secret] } }
`,
  })
})
afterAll(() => world[Symbol.asyncDispose]())
afterEach(() => {
  world.seen.length = 0
})

const get = async (host: string, path: string, ...fields: string[]) => {
  await using client = await world.open(host)
  return await client.request([`GET ${path} HTTP/1.1`, `Host: ${world.authority(host)}`, ...fields])
}

describe('H5: a client that rejects our certificate is given a plain tunnel next time', () => {
  it('however often it does, every connection is looked into, and the upstream hears of none', async () => {
    const before = world.upstream.connections()
    for (let attempt = 0; attempt < 5; attempt++) {
      await using client = await world.plain()
      expect((await client.tunnel(world.authority())).status).toBe(200)
      client.socket.removeAllListeners('data')
      // Trusts the authorities of the web alone.
      const [error] = await once(connectTls({ socket: client.socket, servername: 'api.example' }), 'error')
      expect(error.code).toMatch(/CERT|ISSUER|VERIFY|SIGNED/)
    }
    await vi.waitFor(async () => {
      const reasons = (await world.gate.records(0)).map(({ refusal }) => refusal?.reason)
      expect(
        reasons.filter((reason) => reason === 'client_rejected_certificate' || reason === 'client_gone'),
      ).toHaveLength(5)
    })
    expect(world.upstream.connections()).toBe(before)
    await using client = await world.open()
    const answer = await client.request(['GET /looked-into HTTP/1.1', `Host: ${world.authority()}`])
    expect(answer.field('postern-request-id')).toBeDefined()
    // One request, and nothing else that would try the upstream first.
    expect(world.seen.map(({ line }) => line)).toEqual(['GET /looked-into'])
  })

  it('an upstream that is not trusted is not called, and not tunnelled to either', async () => {
    const answer = await get('untrusted.example', '/')
    expect([answer.status, reasonOf(answer)]).toEqual([502, 'upstream_untrusted'])
    expect(world.seen).toEqual([])
  })
})

describe('H6: a request leaves without its credential when that cannot be had', () => {
  it('it is refused, and the upstream hears nothing', async () => {
    const before = world.upstream.connections()
    const answer = await get('unmade.example', '/')
    expect([answer.status, reasonOf(answer)]).toEqual([503, 'credential_unavailable'])
    expect(world.upstream.connections()).toBe(before)
  })
})

describe('H7: a capability that is missing switches the enforcement off', () => {
  it('a listener for redirected connections serves nobody whom nothing had redirected, or does not open at all', async () => {
    const port = await freePorts(redirectedPorts)
    const config = `listen:
  - { name: pod, address: "127.0.0.1:${port}", accept: redirected, callers: [kernel], agent: ${agentId} }
resolve: { free.example: [127.0.0.1] }
destinations:
  free: { hosts: [free.example], protocol: http, ports: [${world.upstream.port}], addresses: [127.0.0.0/8] }
rules:
  - { name: all, allow: { agents: [${agentId}], to: free } }
`
    const opened = await openGate(config).catch((error: Error) => error)
    // Said in words, with the listener: nothing listens that would not be checked.
    if (opened instanceof Error) return expect(opened.message).toContain('listener pod: redirected connections need')
    await using gate = opened
    const before = world.upstream.connections()
    const client = await WireClient.open({ host: '127.0.0.1', port }).catch(() => undefined)
    // It may have been reset before we knew that it stood.
    client?.send(`GET / HTTP/1.1\r\nHost: free.example:${world.upstream.port}\r\n\r\n`)
    expect((await client?.rest())?.toString() ?? '').toBe('')
    expect((await gate.records(1)).at(-1)?.refusal?.reason).toBe('self_request')
    expect(world.upstream.connections()).toBe(before)
  })
})

describe('H8: a rule looks at the first part of something long, and takes the rest for harmless', () => {
  it('what a deny cannot evaluate counts against the request, however it is padded', async () => {
    expect((await get('free.example', '/counted', 'X-Count: 3')).status).toBe(200)
    for (const value of ['9', `${'0'.repeat(20_000)}9`, 'nine', '9, 3', 'x'.repeat(20_000)])
      expect([value.length, reasonOf(await get('free.example', '/counted', `X-Count: ${value}`))]).toEqual([
        value.length,
        'denied_by_rule',
      ])
    expect(reasonOf(await get('free.example', '/counted'))).toBe('denied_by_rule')
    expect(world.seen).toHaveLength(1)
  })

  it.each([
    ['body: { contains: x }', '', /body/],
    ['paths: [/a]', 'when: \'request.body == "x"\'', /body/],
  ])('no rule can look at a body, so none can be dodged by one: %s', async (match, when, why) => {
    const rule = `  - { name: looks, deny: { ${match} }${when === '' ? '' : `, ${when}`} }\n`
    await expect(openGate(`${agentsListener}rules:\n${rule}`)).rejects.toThrow(why)
  })
})

describe('H9: what no rule speaks of passes, or is only logged', () => {
  it('a host that is not named is refused before anything is decrypted', async () => {
    for (const host of ['unknown.example', 'api.example.evil.example', '127.0.0.1']) {
      await using client = await world.plain()
      const answer = await client.tunnel(world.authority(host))
      expect([answer.status, reasonOf(answer)]).toEqual([403, 'no_rule'])
    }
  })

  it('another port of a host that is named is refused', async () => {
    await using client = await world.plain()
    expect(reasonOf(await client.tunnel('api.example:443'))).toBe('no_rule')
  })

  it('without any rule nothing passes', async () => {
    await using gate = await openGate(agentsListener)
    await using client = await WireClient.open({ host: '127.0.0.1', port: gate.port() })
    const answer = await client.request(['GET http://api.example/ HTTP/1.1', 'Host: api.example'])
    expect(reasonOf(answer)).toBe('no_rule')
  })

  it('a rule in shadow mode allows nothing, and the record says what it would have', async () => {
    await using client = await world.plain()
    const authority = `shadowed.example:${world.raw.port}`
    const answer = await client.request([`GET http://${authority}/ HTTP/1.1`, `Host: ${authority}`])
    expect([answer.status, reasonOf(answer)]).toEqual([403, 'no_rule'])
    const record = await world.gate.record(answer.field('postern-request-id'))
    expect(JSON.stringify(record.decision)).toContain('shadow-allows-all')
    expect(world.sockets).toEqual([])
  })

  it.each(['default: allow', 'mode: observe', 'enforcement: log', 'failOpen: true', 'unmatched: pass'])(
    'there is no %s',
    async (line) => {
      await expect(openGate(`${agentsListener}${line}\n`)).rejects.toThrow('unknown key')
    },
  )
})

describe('H10: a grant, or an approval, overrides what is denied', () => {
  it('a deny holds wherever it stands, also behind the rule that allows', async () => {
    const answer = await get('free.example', '/secret')
    expect([answer.status, reasonOf(answer)]).toEqual([403, 'denied_by_rule'])
    expect(world.seen).toEqual([])
  })

  it.each(['approve: operator', 'approval: { timeout: 60s }', 'override: true'])(
    'no rule can ask for an approval that would: %s',
    async (key) => {
      const rule = `  - { name: asks, allow: { agents: [${agentId}] }, ${key} }\n`
      await expect(openGate(`${agentsListener}rules:\n${rule}`)).rejects.toThrow('unknown key')
    },
  )
})
