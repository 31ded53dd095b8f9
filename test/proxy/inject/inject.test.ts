import { once } from 'node:events'
import { createServer } from 'node:net'
import { inspect } from 'node:util'
import { Client } from 'undici'
import { describe, expect, it } from 'vitest'
import { inject } from '../../../proxy/inject/inject.ts'
import type { Inject } from '../../../proxy/inject/settings.ts'
import { Needles } from '../../../proxy/redact/needles.ts'
import { Scanner } from '../../../proxy/redact/scanner.ts'
import { type Reason, Refusal } from '../../../proxy/refusal.ts'
import { Secret } from '../../../proxy/secret.ts'
import { canary, exchange, type Given, placements, values } from './exchanges.ts'

/** A plain stand-in for `crm-token` at `crm` in Authorization. */
const standIn = placements({ placeholder: { env: 'KEY' } }).standIns[0]?.value ?? ''
const queryStandIn = placements({ placeholder: { in: { query: 'key' }, env: 'KEY' } }).standIns[0]?.value ?? ''

function refusal(run: () => unknown): Refusal {
  try {
    run()
  } catch (error) {
    if (error instanceof Refusal) return error
    throw error
  }
  throw new Error('nothing was refused')
}

/** Each way of putting a credential in, with a request that leaves room for it. */
const ways: readonly [Inject, Given][] = [
  ['bearer', {}],
  ['basic', {}],
  [{ header: 'X-Crm-Token' }, {}],
  [{ header: 'Authorization', prefix: 'Token ' }, {}],
  [{ query: 'key' }, {}],
  [{ cookie: 'sid' }, { lease: { secret: new Secret('crm-token', 'sk-canary-cookie-1234567') } }],
  [{ placeholder: {} }, { headers: ['Authorization', `Bearer ${standIn}`] }],
  [{ placeholder: { in: { query: 'key' } } }, { target: { query: `?key=${queryStandIn}` } }],
]

describe.each(ways)('with inject: %j', (settings, given) => {
  const apply = (more: Given = {}) => {
    const merged = { ...given, ...more }
    if (more.headers !== undefined) merged.headers = [...(given.headers ?? []), ...more.headers]
    return inject(exchange(merged), placements(settings))
  }
  const refused = (more: Given): Reason => refusal(() => apply(more)).reason

  it('a credential that was not obtained is not done without', () => {
    expect(refused({ lease: undefined })).toBe('credential_unavailable')
  })

  it('a credential for another destination is not sent', () => {
    expect(refused({ lease: { credential: 'other' } })).toBe('credential_not_bound')
    // The placeholder for crm is not one for elsewhere, which is seen first.
    expect(refused({ destination: { name: 'elsewhere' } })).toBe(
      typeof settings === 'object' && 'placeholder' in settings ? 'stand_in_misused' : 'credential_not_bound',
    )
  })

  it.each(['TRACE', 'CONNECT'])('%s, which gives back what it got, is not sent', (method) => {
    expect(refused({ method })).toBe('placement_conflict')
  })

  it('cleartext is refused, but to a loopback that is declared http', () => {
    const http = { ...given.target, scheme: 'http', port: 8080 } as const
    const declared = { protocol: 'http' } as const
    expect(refused({ target: http })).toBe('credential_not_bound')
    expect(refused({ target: http, destination: declared })).toBe('credential_not_bound')
    expect(refused({ target: { ...http, host: 'localhost' } })).toBe('credential_not_bound')
    for (const host of ['localhost.evil.example', '127.0.0.1.nip.example', '128.0.0.1', '::2', 'xlocalhost'])
      expect(refused({ target: { ...http, host }, destination: declared })).toBe('credential_not_bound')
    for (const host of ['localhost', 'api.localhost', '127.0.0.1', '127.3.2.1', '::1'])
      expect(apply({ target: { ...http, host }, destination: declared }).emitted.length).toBeGreaterThan(0)
  })

  it.each(['a\r\nX-Evil: 1', 'a\nb', 'a\0b', 'tail\n', ''])('a secret such as %j is not written', (value) => {
    expect(refused({ lease: { secret: new Secret('crm-token', value) } })).toBe('credential_unavailable')
  })

  it('a second stand-in is refused and found', () => {
    const { reason, findings } = refusal(() => apply({ headers: ['X-Other', standIn] }))
    expect(reason).toBe('stand_in_misused')
    expect(findings).toContainEqual(expect.objectContaining({ kind: 'stand_in_misused', where: 'header:x-other' }))
  })

  it('all that stands in the head is told to the scanner', () => {
    const { outgoing, emitted } = apply()
    const text = Buffer.from([outgoing.path, ...outgoing.headers].join('\n'), 'latin1')
    const needles = Needles.of(emitted)
    if (needles === undefined) throw new Error('nothing emitted')
    const scanner = new Scanner(needles)
    const blanked = Buffer.concat([scanner.push(text), scanner.finish()]).toString('latin1')
    expect(scanner.count).toBe(1)
    expect(blanked).not.toMatch(/sk-canary|c2stY2FuYX|cm9ib3Q/)
  })

  it('credentials and connection fields of the agent are gone', () => {
    const { outgoing, findings } = apply({ headers: ['X-Api-Key', 'own', 'Proxy-Connection', 'keep-alive', 'A', '1'] })
    expect(values(outgoing.headers, 'x-api-key')).toEqual([])
    expect(values(outgoing.headers, 'proxy-connection')).toEqual([])
    expect(values(outgoing.headers, 'a')).toEqual(['1'])
    expect(findings).toMatchObject([{ kind: 'agent_credential_removed', where: 'header:x-api-key' }])
  })

  it('nothing that is printed shows it', () => {
    const injected = apply()
    expect(`${JSON.stringify(injected)}${inspect(injected, { depth: 9 })}`).not.toMatch(/sk-canary|c2stY2FuYX/)
  })

  it('a client and a server understand the same head', async () => {
    const injected = apply({ headers: ['Accept', 'a/b', 'X-Two', '1', 'x-two', '2'] })
    const server = createServer((socket) =>
      socket.once('data', (chunk) =>
        socket.end(`HTTP/1.1 200 OK\r\ncontent-length: ${chunk.length}\r\n\r\n${chunk.toString('latin1')}`, 'latin1'),
      ),
    )
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const address = server.address()
    if (address === null || typeof address === 'string') throw new Error('no port')
    const client = new Client(`http://127.0.0.1:${address.port}`)
    const { method, path, headers } = injected.outgoing
    const answer = await client.request({ method: method as 'GET', path, headers: [...headers] })
    const sent = (await answer.body.text()).split('\r\n')
    await client.close()
    server.close()
    expect(sent[0]).toBe(`GET ${path} HTTP/1.1`)
    expect(sent.filter((line) => /^host:/i.test(line))).toEqual(['host: api.crm.example'])
    for (let at = 0; at < headers.length; at += 2) expect(sent).toContain(`${headers[at]}: ${headers[at + 1]}`)
  })
})

describe('a rule without a credential', () => {
  it('takes out what the agent sends, and finds it', () => {
    const { outgoing, emitted, findings } = inject(
      exchange({ headers: ['Authorization', 'Bearer own', 'Connection', 'close'], lease: undefined }),
      placements(undefined, { use: undefined }),
    )
    expect(outgoing.headers).toEqual(['host', 'api.crm.example'])
    expect(emitted).toEqual([])
    expect(findings).toMatchObject([{ kind: 'agent_credential_removed', where: 'header:authorization' }])
  })

  it('lets it pass when it says agent', () => {
    const { outgoing, findings } = inject(
      exchange({ headers: ['Authorization', 'Bearer own'], lease: undefined }),
      placements('agent', { use: undefined }),
    )
    expect(values(outgoing.headers, 'authorization')).toEqual(['Bearer own'])
    expect(findings).toMatchObject([{ kind: 'agent_credential_passed', where: 'header:authorization' }])
  })

  it.each([undefined, 'agent'] as const)('refuses a stand-in in any case (inject: %s)', (settings) => {
    const given = exchange({ headers: ['Authorization', `Bearer ${standIn}`], lease: undefined })
    expect(refusal(() => inject(given, placements(settings, { use: undefined }))).reason).toBe('stand_in_misused')
  })
})

describe('the head that leaves', () => {
  it('has a bearer token by default', () => {
    const { outgoing, emitted } = inject(exchange(), placements(undefined))
    expect(values(outgoing.headers, 'authorization')).toEqual([`Bearer ${canary}`])
    expect(emitted.map((secret) => secret.name)).toEqual(['crm-token'])
  })

  it('has user name and password in basic', () => {
    const { outgoing } = inject(exchange(), placements('basic'))
    expect(values(outgoing.headers, 'authorization')).toEqual([
      `Basic ${Buffer.from(`robot:${canary}`).toString('base64')}`,
    ])
  })

  it.each([undefined, 'a:b', 'a\nb'])('has no basic with a user name such as %j', (username) => {
    const given = exchange({ lease: { username } })
    expect(refusal(() => inject(given, placements('basic'))).reason).toBe('credential_unavailable')
  })

  it('has the new user name when that changes', () => {
    const secret = new Secret('crm-token', canary)
    const sent = ['one', 'two', 'two'].map((username) =>
      inject(exchange({ lease: { secret, username } }), placements('basic')),
    )
    expect(
      sent.map(({ outgoing }) =>
        Buffer.from(values(outgoing.headers, 'authorization')[0]?.slice(6) ?? '', 'base64').toString(),
      ),
    ).toEqual([`one:${canary}`, `two:${canary}`, `two:${canary}`])
    expect(sent[1]?.emitted[1]).toBe(sent[2]?.emitted[1])
  })

  it('has the prefix that is configured', () => {
    const { outgoing } = inject(exchange(), placements({ header: 'X-Key', prefix: 'Token ' }))
    expect(values(outgoing.headers, 'x-key')).toEqual([`Token ${canary}`])
  })

  it.each(['ключ-секрет', 'a\u0100b', ' lead', 'trail ', 'del\x7f'])('has no header with %j', (value) => {
    const given = exchange({ lease: { secret: new Secret('crm-token', value) } })
    expect(refusal(() => inject(given, placements('bearer'))).reason).toBe('credential_unavailable')
  })

  it('is refused where the rule is not known', () => {
    const given = { ...exchange(), grant: { ...exchange().grant, rule: 'gone' } }
    expect(refusal(() => inject(given, placements('bearer'))).reason).toBe('internal_error')
  })
})
