// Handing on: eight checks, each with its own reason, and nothing wider ever comes out.
import { describe, expect, it } from 'vitest'
import { parseSpiffeId } from '../../../certs/spiffe-id.ts'
import { ChainError } from '../../../policy/delegation/error.ts'
import {
  type ChildOrder,
  DelegationError,
  type DelegationReason,
  type Handoff,
  mintChild,
  mintRoot,
} from '../../../policy/delegation/mint.ts'
import { agentAt, constraints, gateOf, grantTo, now, root, rootChain, verified } from './support.ts'

function order(change: Partial<ChildOrder> = {}): ChildOrder {
  const { id, key } = agentAt(1)
  return {
    child: id,
    childKey: key.public,
    scopes: ['http.github.repos.read'],
    constraints: [],
    jti: 'jti-1',
    ...change,
  }
}

async function refused(run: () => unknown): Promise<DelegationError | ChainError> {
  try {
    await run()
  } catch (error) {
    if (error instanceof DelegationError || error instanceof ChainError) return error
    throw error
  }
  throw new Error('it was not refused')
}

async function expectReason(reason: DelegationReason, check: number, run: () => unknown): Promise<void> {
  expect(await refused(run)).toMatchObject({ reason, check })
}

const parent = verified(
  rootChain({ constraints: constraints({ key: 'host', one_of: ['api.github.com', 'b.example'] }) }),
)
const gate = gateOf(agentAt(0))
const host = (...values: string[]) => constraints({ key: 'host', one_of: values })

describe('an agent that hands on', () => {
  it('must be the holder of the parent', async () => {
    const other = { ...gate, caller: agentAt(2).id }
    expect(await refused(() => mintChild(parent, order(), other, now))).toMatchObject({
      reason: 'chain_holder_binding_failed',
      step: 9,
    })
  })

  it('must have a parent that is not revoked', async () => {
    const against = () => ({ reason: 'chain_revoked' as const, detail: 'stopped' })
    expect(await refused(() => mintChild(parent, order(), { ...gate, revocations: { against } }, now))).toMatchObject({
      reason: 'chain_revoked',
      step: 8,
      hop: 0,
    })
  })

  it('must sign with the key that the parent names', () =>
    expectReason('delegation_wrong_key', 1, () => mintChild(parent, order(), { ...gate, key: agentAt(3).key }, now)))

  it('must be allowed to by the rules', async () => {
    const run = () => mintChild(parent, order(), { ...gate, denial: () => 'not today' }, now)
    await expectReason('delegation_denied_by_rule', 3, run)
    expect(await refused(run)).toMatchObject({ detail: 'not today' })
  })

  it('cannot hand on to itself', () =>
    expectReason('delegation_loop', 4, () => mintChild(parent, order({ child: agentAt(0).id }), gate, now)))

  it('cannot hand on to a trust domain that is not named', () =>
    expectReason('delegation_domain_not_allowed', 4, () =>
      mintChild(parent, order({ child: parseSpiffeId('spiffe://elsewhere.example/agent') }), gate, now),
    ))

  it('cannot hand on to anybody when no trust domain is named', () =>
    expectReason('delegation_domain_not_allowed', 4, () =>
      mintChild(parent, order(), { ...gate, trustDomains: new Set() }, now),
    ))

  it('cannot make the chain longer than the root allows', () =>
    expectReason('delegation_too_deep', 5, () => mintChild(verified(rootChain({ maxDepth: 1 })), order(), gate, now)))

  it('cannot raise how long the chain may become', () =>
    expectReason('delegation_too_deep', 5, () =>
      mintChild(verified(rootChain({ maxDepth: 3 })), order({ maxDepth: 4 }), gate, now),
    ))

  it.each<[string, Partial<ChildOrder>, string]>([
    ['a scope that it does not hold', { scopes: ['http.gitlab.repos.read'] }, 'http.gitlab.repos.read'],
    ['a wider wildcard', { scopes: ['http.*'] }, 'http.*'],
    ['an opaque scope under a wildcard', { scopes: ['http.github.Read'] }, 'http.github.Read'],
    ['another host', { constraints: host('c.example') }, 'host one_of'],
    ['one host more', { constraints: host('api.github.com', 'b.example', 'c.example') }, 'host one_of'],
  ])('is told that it has not: %s', async (_, change, named) => {
    const run = () => mintChild(parent, order(change), gate, now)
    await expectReason('delegation_not_narrower', 6, run)
    expect((await refused(run)).detail).toContain(named)
  })

  it('is told when nothing is left of what it asked to have narrowed', async () => {
    const nothing = { constraints: host('c.example'), narrow: true }
    await expectReason('delegation_not_narrower', 6, () => mintChild(parent, order(nothing), gate, now))
    const scopes = { scopes: ['mail.send'], narrow: true }
    await expectReason('delegation_not_narrower', 6, () => mintChild(parent, order(scopes), gate, now))
  })

  it.each([0, -1, 1.5, 3601, Number.NaN])('cannot ask for %s seconds', (ttl) =>
    expectReason('delegation_lifetime', 7, () => mintChild(parent, order({ ttl }), gate, now)),
  )

  it('cannot hand on from a parent that has no time left', () =>
    expectReason('delegation_lifetime', 7, () => mintChild(parent, order(), gate, parent.expiresAt)))

  it.each<[string, Partial<ChildOrder>]>([
    ['no scope', { scopes: [] }],
    ['a scope twice', { scopes: ['http.github.a', 'http.github.a'] }],
    ['an empty jti', { jti: '' }],
    ['a child that is a trust domain', { child: parseSpiffeId('spiffe://acme.example') }],
  ])('cannot have a token with %s', (_, change) =>
    expectReason('delegation_malformed', 0, () => mintChild(parent, order(change), gate, now)),
  )

  it('gets nothing when the handoff cannot be written down', async () => {
    const full = { ...gate, record: () => Promise.reject(new Error('disk full')) }
    await expectReason('delegation_not_recorded', 8, () => mintChild(parent, order(), full, now))
  })
})

describe('a child', () => {
  it('verifies, and says what it was given', async () => {
    const written: Handoff[] = []
    const { chain, handoff } = await mintChild(
      parent,
      order({ constraints: host('b.example') }),
      { ...gate, record: (entry) => void written.push(entry) },
      now,
    )
    expect(verified(chain)).toMatchObject({
      depth: 1,
      maxDepth: 8,
      txn: 'txn-1',
      principal: { kind: 'user', id: 'https://idp.example#user-8821' },
      expiresAt: now + 600_000,
      leaf: { id: agentAt(1).id, scopes: ['http.github.repos.read'], digest: handoff.digest },
    })
    expect(written).toEqual([handoff])
    expect(handoff).toMatchObject({ droppedScopes: [], droppedConstraints: [], isSameAuthority: false })
  })

  it('inherits the bounds that nobody spoke of', async () => {
    const { chain } = await mintChild(parent, order(), gate, now)
    expect(verified(chain).leaf.constraints).toEqual(parent.leaf.constraints)
  })

  it('is flagged when it may do all that its parent may', async () => {
    const { handoff } = await mintChild(parent, order({ scopes: parent.leaf.scopes }), gate, now)
    expect(handoff.isSameAuthority).toBe(true)
  })

  it('is narrowed where that was asked for, and what was dropped is said', async () => {
    const wide = { scopes: ['http.*', 'mail.send'], constraints: host('b.example', 'c.example'), narrow: true }
    const { chain, handoff } = await mintChild(parent, order(wide), gate, now)
    expect(verified(chain).leaf).toMatchObject({ scopes: ['http.github.*'], constraints: host('b.example') })
    expect(handoff).toMatchObject({ droppedScopes: ['http.*', 'mail.send'], droppedConstraints: ['host one_of'] })
  })

  it('ends with its parent', async () => {
    const short = verified(rootChain({ lifetime: 60 }))
    const { chain } = await mintChild(short, order({ ttl: 600 }), gate, now)
    expect(verified(chain).expiresAt).toBe(now + 60_000)
  })

  it('hands on in turn until the chain is full', async () => {
    let chain = rootChain({ maxDepth: 3 })
    for (const hop of [1, 2]) {
      const { id, key } = agentAt(hop)
      const next = order({ child: id, childKey: key.public, jti: `jti-${hop}` })
      chain = (await mintChild(verified(chain), next, gateOf(agentAt(hop - 1)), now)).chain
    }
    expect(verified(chain)).toMatchObject({ depth: 2, maxDepth: 3 })
    const { id, key } = agentAt(3)
    const last = order({ child: id, childKey: key.public, jti: 'jti-3' })
    await expectReason('delegation_too_deep', 5, () => mintChild(verified(chain), last, gateOf(agentAt(2)), now))
  })
})

describe('a root grant', () => {
  it('of an agent that acts for itself has that agent as its principal', () => {
    expect(verified(rootChain({ principal: agentAt(0).id })).principal).toEqual({ kind: 'agent', id: agentAt(0).id })
  })

  it.each([0, 9, 2.5])('cannot allow chains of %s tokens', (maxDepth) =>
    expectReason('delegation_too_deep', 5, () => mintRoot(grantTo(agentAt(0), { maxDepth }), root, now)),
  )

  it.each([0, 3601])('cannot live for %s seconds', (lifetime) =>
    expectReason('delegation_lifetime', 7, () => mintRoot(grantTo(agentAt(0), { lifetime }), root, now)),
  )

  it.each([
    ['no scope', { scopes: [] }],
    ['no audience', { audience: [] }],
    ['no principal', { principal: '' }],
  ])('cannot have %s', (_, change) =>
    expectReason('delegation_malformed', 0, () => mintRoot(grantTo(agentAt(0), change), root, now)),
  )
})
