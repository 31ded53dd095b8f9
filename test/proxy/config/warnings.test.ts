import { describe, expect, it } from 'vitest'
import { warningsOf } from '../../../proxy/config/warnings.ts'
import { changed, load } from './folder.ts'
import { good, goodEnvironment } from './good.ts'

async function warnings(text: string): Promise<string[]> {
  const config = await load(text, { environment: goodEnvironment })
  return warningsOf(config, {}).map(({ path, message }) => `${path.join('.')}: ${message}`)
}

/** The good configuration has these two itself. */
const own = [
  'identity.source: embedded is for development: nobody else trusts these identities',
  'destinations.search: no rule allows anybody to go here',
]

it('of the good configuration are these', async () => {
  expect(await warnings(good)).toEqual(own)
})

describe('worth a second look', () => {
  it.each([
    [
      'a rule for workloads that nothing verifies',
      'agents: [spiffe://acme.example/ns/agents/sa/researcher]',
      'agents: [spiffe://b.example/*, spiffe://acme.example/ns/agents/sa/researcher]',
      'rules.1.allow.agents.0: nobody of b.example can call: it is not in `federation`',
    ],
    [
      'JWT-SVIDs without keys',
      'identity: { source: embedded }\nlisten:',
      'identity: { source: files, bundles: { acme.example: roots.pem } }\nlisten:\n  - { name: tokens, address: "[::]:15003", accept: https-proxy, callers: [jwt-svid] }',
      'listen.0.callers: PEM files have no keys of JWT-SVIDs; a SPIFFE bundle document has them',
    ],
    [
      'a listener for nobody',
      'callers: [kernel], agent: spiffe://acme.example/local',
      'callers: []',
      'listen.0.callers: nobody can call here, since no proof is accepted',
    ],
    [
      'run tokens where none are known',
      'callers: [kernel], agent: spiffe://acme.example/local',
      'callers: [run-token]',
      'listen.0.callers: run-token is known only where `postern exec` opens the listener; here it proves nothing',
    ],
    [
      'one family of two',
      'identity: { source: embedded }\nlisten:',
      'identity: { source: embedded }\ndns: { listen: ["127.0.0.1:15053"] }\nlisten:\n  - { name: pod, address: "127.0.0.1:15009", accept: redirected, callers: [kernel], agent: spiffe://acme.example/a }',
      'listen.0.address: over IPv6 everything is refused, since no listener takes ::1 with the same port',
    ],
    [
      'no DNS for callers whose DNS is turned round',
      'identity: { source: embedded }\nlisten:',
      'identity: { source: embedded }\nlisten:\n  - { name: pod, address: "[::]:15001", accept: redirected, callers: [kernel], agent: spiffe://acme.example/a }',
      'listen.0.accept: nothing answers the DNS of these callers; `dns` says where the proxy does',
    ],
    [
      'a name without a destination',
      'destinations:',
      'resolve: { b.example: [127.0.0.1], a.search.example: [127.0.0.1] }\ndestinations:',
      'resolve.b.example: no destination has this host',
    ],
    [
      'a top-level name',
      '"*.search.example"',
      '"*.example"',
      'destinations.search.hosts.0: everything below a top-level name',
    ],
    [
      'a wide range',
      '10.20.0.0/16',
      '10.0.0.0/8',
      'destinations.search.addresses.0: wider than one network usually is (/16); name only what is meant',
    ],
    [
      'a wide range of IPv6',
      '10.20.0.0/16',
      'fc00::/7',
      'destinations.search.addresses.0: wider than one network usually is (/48); name only what is meant',
    ],
    [
      'a public range',
      '10.20.0.0/16',
      '93.184.0.0/16',
      'destinations.search.addresses.0: public addresses need no mention',
    ],
    [
      'answers that nobody looks into',
      'hosts: [api.crm.example]',
      'hosts: [api.crm.example], echo: trusted-echo',
      'destinations.crm.echo: answers from here are not looked into for the credential',
    ],
    [
      'an unused credential',
      'use: crm-token\n    inject: bearer\n    ',
      '',
      'credentials.crm-token: no rule uses this credential',
    ],
    [
      'a binding that no rule needs',
      'for: [crm]',
      'for: [crm, search]',
      'credentials.crm-token.for.1: no rule sends this credential there',
    ],
    [
      'a variable that is not set',
      'credentials:',
      'credentials:\n  other: { kind: env, variable: NOT_SET_HERE, for: [crm] }',
      'credentials.other.variable: NOT_SET_HERE is not set here',
    ],
    [
      'a rule for nobody',
      'agents: [spiffe://acme.example/ns/agents/sa/researcher]',
      'agents: []',
      'rules.1.allow: names no agents, so it allows nobody',
    ],
    ['a rule for nowhere', 'to: crm\n', 'to: []\n', 'rules.1.allow: names no destination, so it allows nothing'],
    [
      'a rule against everything',
      'deny: { methods: [DELETE] }',
      'deny: {}',
      'rules.0.deny: denies everything to everybody',
    ],
  ])('%s', async (_what, from, to, warning) => {
    expect(await warnings(changed(from, to))).toContain(warning)
  })

  it('loopback as a whole is not, being one machine', async () => {
    expect(await warnings(changed('10.20.0.0/16', '127.0.0.0/8'))).toEqual(own)
  })
})

describe('a rule that never decides', () => {
  const last = `    limit: 60/minute per agent\n`
  const followedBy = (rule: string) => changed(last, `  - ${rule}\n`).replace(/ {4}when: .*\n/, '')

  it.each([
    [
      'allows the same',
      '{ name: later, allow: { agents: [spiffe://acme.example/ns/agents/sa/researcher], to: crm, methods: [GET], paths: [/v1/contacts/**] } }',
    ],
    [
      'allows less',
      '{ name: later, when: "true", allow: { agents: [spiffe://acme.example/ns/agents/sa/researcher], to: [crm], methods: [GET], paths: [/v1/contacts/**], query: { a: b } } }',
    ],
  ])('since it %s', async (_what, rule) => {
    expect(await warnings(followedBy(rule))).toContain(
      'rules.2: never decides, since `researcher-reads-contacts` before it allows all that it would',
    )
  })

  it.each([
    [
      'another agent',
      '{ name: later, allow: { agents: [spiffe://acme.example/b], to: crm, methods: [GET], paths: [/v1/contacts/**] } }',
    ],
    [
      'another destination',
      '{ name: later, allow: { agents: [spiffe://acme.example/ns/agents/sa/researcher], to: [crm, search], methods: [GET], paths: [/v1/contacts/**] } }',
    ],
    [
      'another method',
      '{ name: later, allow: { agents: [spiffe://acme.example/ns/agents/sa/researcher], to: crm, methods: [GET, POST], paths: [/v1/contacts/**] } }',
    ],
    [
      'any method',
      '{ name: later, allow: { agents: [spiffe://acme.example/ns/agents/sa/researcher], to: crm, paths: [/v1/contacts/**] } }',
    ],
    [
      'another path',
      '{ name: later, allow: { agents: [spiffe://acme.example/ns/agents/sa/researcher], to: crm, methods: [GET], paths: [/v1/**] } }',
    ],
    [
      'an effect that it has not',
      '{ name: later, mode: shadow, allow: { agents: [spiffe://acme.example/ns/agents/sa/researcher], to: crm, methods: [GET], paths: [/v1/contacts/**] } }',
    ],
  ])('is not one with %s', async (_what, rule) => {
    expect(await warnings(followedBy(rule))).not.toContainEqual(expect.stringContaining('never decides'))
  })

  it('is not one behind a rule with a condition', async () => {
    const text = changed(
      last,
      '  - { name: later, allow: { agents: [spiffe://acme.example/ns/agents/sa/researcher], to: crm, methods: [GET], paths: [/v1/contacts/**] } }\n',
    )
    expect(await warnings(text)).not.toContainEqual(expect.stringContaining('never decides'))
  })

  it('is one below a subtree of agents and any method', async () => {
    const text = followedBy(
      '{ name: later, allow: { agents: [spiffe://acme.example/ns/agents/sa/researcher], to: crm } }',
    )
      .replace('agents: [spiffe://acme.example/ns/agents/sa/researcher]\n', 'agents: [spiffe://acme.example/ns/*]\n')
      .replace('methods: [GET]', 'methods: ["*"]')
      .replace('paths: [/v1/contacts/**]', 'paths: [/**]')
    expect(await warnings(text)).toContainEqual(expect.stringContaining('rules.2: never decides'))
  })
})

it('says nothing of JWT-SVIDs where a document has keys, or a federated domain may have', async () => {
  const text = (identity: string) =>
    changed(
      'identity: { source: embedded }\nlisten:',
      `identity: ${identity}\nlisten:\n  - { name: tokens, address: "[::]:15003", accept: https-proxy, callers: [jwt-svid] }`,
    )
  const said = async (identity: string) => (await warnings(text(identity))).filter((each) => each.startsWith('listen'))
  expect(await said('{ source: files, bundles: { acme.example: bundle.json } }')).toEqual([])
  expect(
    await said(
      '{ source: files, bundles: { acme.example: a.pem } }\nfederation: { b.example: { source: file, path: b.json } }',
    ),
  ).toEqual([])
})

it('says nothing of a rule for workloads of a federated domain', async () => {
  const text = changed('agents: [spiffe://acme', 'agents: [spiffe://b.example/*, spiffe://acme').replace(
    'listen:',
    'federation: { b.example: { source: file, path: b.json } }\nlisten:',
  )
  expect(await warnings(text)).toEqual(own)
})
