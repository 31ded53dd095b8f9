// Steps 8 to 10: revocation, the holder, and whether the chain covers one action.
import { describe, expect, it } from 'vitest'
import { checkAction, type Debit, type Facts, firstHopLacking, type Ledger } from '../../../policy/delegation/action.ts'
import { checkRevocations, HeldChain, type Revocations } from '../../../policy/delegation/hold.ts'
import type { JsonObject } from '../../../policy/delegation/strict-json.ts'
import { agentAt, audience, type Forgery, forge, noRevocations, refusal, verified } from './support.ts'

const free: Ledger = { debit: () => undefined }

function held(...forgeries: Forgery[]): HeldChain {
  const chain = verified(forge(...forgeries))
  return HeldChain.hold(chain, chain.leaf.id, noRevocations)
}

function check(constraint: JsonObject, facts: Facts, ledger: Ledger = free): void {
  checkAction(held({ constraints: [constraint] }), { audience, scopes: [], facts }, ledger)
}

describe('step 8', () => {
  it.each([0, 1, 2])('refuses a chain of which hop %s is revoked, and says which', (revoked) => {
    const chain = verified(forge({}, {}, {}))
    const revocations: Revocations = {
      against: ({ jti }) =>
        jti === `jti-${revoked}` ? { reason: 'chain_revoked', detail: 'stopped by an operator' } : undefined,
    }
    const found = refusal(() => HeldChain.hold(chain, chain.leaf.id, revocations))
    expect(found).toMatchObject({ reason: 'chain_revoked', step: 8, hop: revoked, detail: 'stopped by an operator' })
    expect(refusal(() => checkRevocations(chain, revocations)).hop).toBe(revoked)
  })

  it('comes before the holder, and refuses what cannot be known', () => {
    const against = () => ({ reason: 'chain_status_unknown' as const, detail: 'the feed is stale' })
    expect(refusal(() => HeldChain.hold(verified(forge({})), agentAt(5).id, { against }))).toMatchObject({
      reason: 'chain_status_unknown',
      step: 8,
    })
  })
})

describe('step 9', () => {
  it('refuses anybody but the leaf, also who is higher up in the chain', () => {
    const chain = verified(forge({}, {}))
    for (const caller of [0, 2, 3]) {
      expect(refusal(() => HeldChain.hold(chain, agentAt(caller).id, noRevocations))).toMatchObject({
        reason: 'chain_holder_binding_failed',
        step: 9,
        hop: 1,
      })
    }
    expect(HeldChain.hold(chain, agentAt(1).id, noRevocations).chain).toBe(chain)
  })
})

describe('step 10', () => {
  it('refuses what is meant for elsewhere, at whichever hop', () => {
    const elsewhere: Forgery = { payload: { aud: ['spiffe://elsewhere.example/egress'] } }
    for (const [hop, chain] of [held(elsewhere, {}), held({}, elsewhere)].entries()) {
      expect(refusal(() => checkAction(chain, { audience, scopes: [], facts: {} }, free))).toMatchObject({
        reason: 'chain_audience_mismatch',
        step: 10,
        hop,
      })
    }
  })

  it('names the first hop that lacks a scope', () => {
    const chain = held({ scopes: ['http.*', 'mail.send'] }, { scopes: ['http.*'] }, { scopes: ['http.github.*'] })
    const lacking = (...scopes: string[]) => refusal(() => checkAction(chain, { audience, scopes, facts: {} }, free))
    expect(lacking('mail.send')).toMatchObject({ reason: 'chain_scope_not_granted', hop: 1 })
    expect(lacking('http.github.read', 'http.gitlab.read')).toMatchObject({ reason: 'chain_scope_not_granted', hop: 2 })
    expect(lacking('crm.read')).toMatchObject({ hop: 0 })
    expect(firstHopLacking(chain.chain.hops, 'http.github.read')).toBeUndefined()
  })

  const github = { key: 'host', one_of: ['api.github.com'] }
  const acme = { key: 'path', prefix: '/repos/acme' }
  const slash = { key: 'path', prefix: '/repos/acme/' }
  const level = { key: 'egress', rank: 'internal', order: ['none', 'internal', 'any'] }

  it.each<[JsonObject, Facts]>([
    [github, { host: 'api.github.com.evil.example' }],
    [github, { host: 'API.github.com' }],
    [github, {}],
    [github, { host: undefined }],
    [{ key: 'method', not_one_of: ['DELETE'] }, { method: 'DELETE' }],
    [{ key: 'method', not_one_of: ['DELETE'] }, {}],
    [acme, { path: '/repos/acmeevil' }],
    [acme, { path: '/repos/acme/../other' }],
    [acme, { path: '/repos/acme/%2e%2e/other' }],
    [acme, { path: '/repos/acme/..%2fother' }],
    [acme, { path: '/repos/acme/..;/other' }],
    [acme, { path: '/repos/acme%2Fx' }],
    [acme, { path: '//repos/acme' }],
    [acme, { path: 1 }],
    [slash, { path: '/repos/acme' }],
    [{ key: 'rows', max: 10 }, { rows: 11 }],
    [{ key: 'rows', max: 10 }, { rows: '5' }],
    [{ key: 'rows', max: 10 }, { rows: Number.NaN }],
    [{ key: 'rows', min: 1 }, { rows: 0 }],
    [{ key: 'rows', min: 1 }, {}],
    [level, { egress: 'any' }],
    [level, { egress: 'everywhere' }],
    [level, {}],
    [{ key: 'toString', one_of: ['x'] }, {}],
  ])('refuses with %j: %j', (constraint, facts) =>
    expect(refusal(() => check(constraint, facts))).toMatchObject({ reason: 'chain_ceiling_exceeded', hop: 0 }),
  )

  it.each<[JsonObject, Facts]>([
    [github, { host: 'api.github.com' }],
    [{ key: 'method', not_one_of: ['DELETE'] }, { method: 'GET' }],
    [acme, { path: '/repos/acme' }],
    [acme, { path: '/repos/acme/x' }],
    [acme, { path: '/repos/%61cme/x' }],
    [slash, { path: '/repos/acme/' }],
    [{ key: 'rows', max: 10 }, { rows: 10 }],
    [{ key: 'rows', min: 1 }, { rows: 1 }],
    [level, { egress: 'internal' }],
    [level, { egress: 'none' }],
    [{ key: 'dry', one_of: [true] }, { dry: true }],
  ])('takes with %j: %j', (constraint, facts) => expect(() => check(constraint, facts)).not.toThrow())

  it('refuses a type of constraint that it does not know', () =>
    expect(refusal(() => check({ key: 'hour', weekday: 'mon' }, { hour: 1 }))).toMatchObject({
      reason: 'chain_unknown_constraint',
      hop: 0,
    }))

  it('counts the lifetime of the token in use, and the subtree of every hop', () => {
    const taken: Debit[][] = []
    const ledger: Ledger = { debit: (debits) => void taken.push([...debits]) }
    const bounds = (calls: number, cost: number): Forgery => ({
      constraints: [
        { key: 'calls', max_lifetime: calls },
        { key: 'cost', max_subtree: cost },
      ],
    })
    checkAction(held(bounds(9, 100), bounds(5, 50)), { audience, scopes: [], facts: { cost: 7 } }, ledger)
    expect(taken.flat().map(({ jti, key, type, bound, amount }) => [jti, key, type, bound, amount])).toEqual([
      ['jti-0', 'cost', 'max_subtree', 100, 7],
      ['jti-1', 'calls', 'max_lifetime', 5, 1],
      ['jti-1', 'cost', 'max_subtree', 50, 7],
    ])
  })

  it('refuses a total that is used up, or that nobody counts, and names the hop', () => {
    const constraints = [{ key: 'calls', max_subtree: 5 }]
    const full: Ledger = { debit: (debits) => debits.find(({ jti }) => jti === 'jti-1') }
    const chain = held({ constraints }, { constraints }, { constraints })
    expect(refusal(() => checkAction(chain, { audience, scopes: [], facts: {} }, full))).toMatchObject({
      reason: 'chain_ceiling_exceeded',
      hop: 1,
    })
  })

  it.each([undefined, -1, '3', Number.NaN])('refuses to count an amount of %s', (cost) =>
    expect(refusal(() => check({ key: 'cost', max_subtree: 5 }, { cost })).reason).toBe('chain_ceiling_exceeded'),
  )

  it('debits nothing when something else refuses', () => {
    const never: Ledger = {
      debit: () => {
        throw new Error('debited')
      },
    }
    const chain = held({ constraints: [{ key: 'calls', max_lifetime: 1 }, github] })
    expect(refusal(() => checkAction(chain, { audience, scopes: [], facts: {} }, never)).reason).toBe(
      'chain_ceiling_exceeded',
    )
  })
})
