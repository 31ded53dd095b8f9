// Whom a stop concerns and whom not, when it begins and ends, and what asking costs.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { agentMatches } from '../../../policy/agents.ts'
import { StopList } from '../../../policy/stop/list.ts'
import type { Stop, Stopped, StopSubject } from '../../../policy/stop/stop.ts'

const now = 1_800_000_000_000

const stop = (id: string, what: Stopped, more: Partial<Stop> = {}): Stop => ({
  id,
  what,
  reason: 'a leak',
  at: now,
  by: 'uid 0',
  ...more,
})

const researcher = 'spiffe://acme.example/ns/agents/researcher'

const subject = (parts: Partial<StopSubject> = {}): StopSubject => ({
  agents: ['spiffe://acme.example/planner', researcher],
  principal: { kind: 'user', id: 'zoe' },
  txn: 'txn-1',
  delegations: ['jti-0', 'jti-1'],
  credential: 'crm-token',
  destination: 'crm',
  ...parts,
})

function holding(...stops: readonly Stop[]): StopList {
  const list = new StopList()
  for (const each of stops) list.add(each, now)
  return list
}

const agent = (id: string): Stopped => ({ kind: 'agent', id })

describe('a stop does not concern', () => {
  it.each<[string, Stopped]>([
    ['another agent', agent('spiffe://acme.example/ns/agents/writer')],
    ['an agent whose name only begins alike', agent('spiffe://acme.example/ns/agents/res')],
    ['a subtree whose name only begins alike', agent('spiffe://acme.example/ns/agent/*')],
    ['what lies below the agent itself', agent(`${researcher}/*`)],
    ['another trust domain', agent('spiffe://acme.example.org/*')],
    ['another user', { kind: 'user', id: 'zo' }],
    ['another transaction', { kind: 'txn', id: 'txn-2' }],
    ['another delegation', { kind: 'delegation', jti: 'jti-2' }],
    ['another credential', { kind: 'credential', name: 'crm' }],
    ['another destination', { kind: 'destination', name: 'crm-token' }],
    ['a user who is called like an agent', { kind: 'user', id: researcher }],
  ])('%s', (_case, what) => {
    expect(holding(stop('s1', what)).find(subject(), now)).toBeUndefined()
  })

  it('an agent that has a user’s name as its principal', () => {
    const list = holding(stop('s1', { kind: 'user', id: researcher }))
    expect(list.find(subject({ principal: { kind: 'agent', id: researcher } }), now)).toBeUndefined()
  })

  it('what is not known yet', () => {
    const early = subject({ txn: undefined, delegations: [], credential: undefined, destination: undefined })
    const list = holding(stop('s1', { kind: 'destination', name: 'crm' }), stop('s2', { kind: 'txn', id: 'txn-1' }))
    expect(list.find(early, now)).toBeUndefined()
  })
})

describe('a stop concerns', () => {
  it.each<[string, Stopped]>([
    ['the caller', agent(researcher)],
    ['whoever handed something to it', agent('spiffe://acme.example/planner')],
    ['all in the folder of the caller', agent('spiffe://acme.example/ns/agents/*')],
    ['all in a folder further up', agent('spiffe://acme.example/ns/*')],
    ['all in the trust domain', agent('spiffe://acme.example/*')],
    ['the user', { kind: 'user', id: 'zoe' }],
    ['the transaction', { kind: 'txn', id: 'txn-1' }],
    ['the first delegation', { kind: 'delegation', jti: 'jti-0' }],
    ['the last delegation', { kind: 'delegation', jti: 'jti-1' }],
    ['the credential', { kind: 'credential', name: 'crm-token' }],
    ['the destination', { kind: 'destination', name: 'crm' }],
    ['everything', { kind: 'all' }],
  ])('%s', (_case, what) => {
    const list = holding(stop('other', { kind: 'user', id: 'someone' }), stop('s1', what))
    expect(list.find(subject(), now)?.id).toBe('s1')
  })

  it('an agent that is its own principal and in no hop', () => {
    const list = holding(stop('s1', agent('spiffe://acme.example/ns/*')))
    expect(list.find(subject({ agents: [], principal: { kind: 'agent', id: researcher } }), now)?.id).toBe('s1')
  })

  it('the same agents as a rule with the same pattern does', () => {
    const segment = fc.constantFrom('a', 'b', 'ab', 'a.b', 'A')
    const path = fc.array(segment, { minLength: 1, maxLength: 4 }).map((parts) => parts.join('/'))
    const domain = fc.constantFrom('x', 'x.y')
    fc.assert(
      fc.property(domain, path, fc.boolean(), domain, path, (td, of, below, callerTd, caller) => {
        const pattern = below ? `spiffe://${td}/${of}/*` : `spiffe://${td}/${of}`
        const id = `spiffe://${callerTd}/${caller}`
        const found = holding(stop('s1', agent(pattern))).find(subject({ agents: [id] }), now)
        expect(found !== undefined).toBe(agentMatches(pattern, id))
      }),
      { numRuns: 2_000 },
    )
  })
})

describe('several stops', () => {
  it('of everything come before those of something', () => {
    const list = holding(stop('s1', agent(researcher)), stop('s2', { kind: 'all' }))
    expect(list.find(subject(), now)?.id).toBe('s2')
    expect(list.all?.id).toBe('s2')
  })

  it('of the same thing are lifted one by one', () => {
    const list = holding(stop('s1', agent(researcher)), stop('s2', agent(researcher)))
    expect(list.remove('s1')?.id).toBe('s1')
    expect(list.find(subject(), now)?.id).toBe('s2')
    expect(list.remove('s2')?.id).toBe('s2')
    expect(list.find(subject(), now)).toBeUndefined()
    expect(list.isEmpty).toBe(true)
    expect(list.remove('s2')).toBeUndefined()
  })

  it('of the same thing hold until the last of them lapses', () => {
    const list = holding(stop('s1', agent(researcher), { until: now + 1 }), stop('s2', agent(researcher)))
    expect(list.find(subject(), now)?.id).toBe('s1')
    expect(list.find(subject(), now + 1)?.id).toBe('s2')
  })

  it('with one id are one', () => {
    const list = holding(stop('s1', agent(researcher)))
    const { epoch } = list
    expect(list.add(stop('s1', { kind: 'all' }), now)).toBe(false)
    expect(list.epoch).toBe(epoch)
    expect(list.find(subject(), now)?.what).toEqual(agent(researcher))
  })
})

describe('the time of a stop', () => {
  it('is over when it says, also before anybody has looked', () => {
    const list = holding(stop('s1', { kind: 'all' }, { until: now + 10 }))
    expect(list.find(subject(), now + 9)?.id).toBe('s1')
    expect(list.find(subject(), now + 10)).toBeUndefined()
    expect(list.list(now + 10)).toEqual([])
  })

  it('that is over before it is known counts for nothing', () => {
    const list = new StopList()
    expect(list.add(stop('s1', { kind: 'all' }, { until: now }), now)).toBe(false)
    expect([list.isEmpty, list.epoch]).toEqual([true, 0])
  })

  it('begins later where it says so', () => {
    const list = holding(stop('s1', { kind: 'all' }, { since: now + 10, until: now + 20 }))
    expect([list.isEmpty, list.all, list.size, list.epoch]).toEqual([true, undefined, 0, 0])
    expect(list.list(now).map(({ id }) => id)).toEqual(['s1'])
    expect(list.nextChange).toBe(now + 10)
    expect(list.pass(now + 10)).toEqual({ lapsed: [], begun: 1 })
    expect(list.find(subject(), now + 10)?.id).toBe('s1')
    expect(list.nextChange).toBe(now + 20)
  })

  it('that passed by unseen lets it lapse without having begun', () => {
    const list = holding(stop('s1', { kind: 'all' }, { since: now + 10, until: now + 20 }))
    expect(list.pass(now + 30).lapsed.map(({ id }) => id)).toEqual(['s1'])
    expect([list.isEmpty, list.epoch]).toEqual([true, 0])
  })
})

describe('the epoch', () => {
  it('rises with each order, each lift and each that lapses', () => {
    const list = holding(stop('s1', { kind: 'all' }), stop('s2', agent(researcher), { until: now + 10 }))
    expect(list.epoch).toBe(2)
    list.remove('s1')
    expect(list.epoch).toBe(3)
    expect(list.nextChange).toBe(now + 10)
    expect(list.pass(now + 9).lapsed).toEqual([])
    expect(list.epoch).toBe(3)
    expect(list.pass(now + 10).lapsed.map(({ id }) => id)).toEqual(['s2'])
    expect(list.epoch).toBe(4)
    expect([list.isEmpty, list.nextChange]).toEqual([true, undefined])
  })
})

describe('the cost', () => {
  const microseconds = (list: StopList) => {
    const asked = subject()
    const rounds = 20_000
    let best = Number.POSITIVE_INFINITY
    for (let turn = 0; turn < 5; turn++) {
      const start = performance.now()
      for (let at = 0; at < rounds; at++) list.find(asked, now)
      best = Math.min(best, ((performance.now() - start) * 1_000) / rounds)
    }
    return best
  }

  it('is nothing without a stop, and a few look-ups with ten thousand', () => {
    const many = new StopList()
    for (let at = 0; at < 10_000; at++) {
      many.add(stop(`a${at}`, agent(`spiffe://acme.example/other/${at}`)), now)
      many.add(stop(`t${at}`, agent(`spiffe://acme.example/tree/${at}/*`)), now)
      many.add(stop(`u${at}`, { kind: 'user', id: `user-${at}` }), now)
    }
    expect(many.find(subject(), now)).toBeUndefined()
    expect(microseconds(new StopList())).toBeLessThan(0.1)
    expect(microseconds(many)).toBeLessThan(5)
  })
})
