// The cases that the agent delegation chain draft (draft-asor-wimse-agent-delegation-chain) publishes, built anew in our form: same faults, same outcomes.
import { describe, expect, it } from 'vitest'
import { checkAction } from '../../../policy/delegation/action.ts'
import { HeldChain } from '../../../policy/delegation/hold.ts'
import { verifyChain } from '../../../policy/delegation/verify.ts'
import {
  agentAt,
  audience,
  type Forgery,
  forge,
  noRevocations,
  now,
  refusal,
  roots,
  seconds,
  verified,
} from './support.ts'

const egress = (rank: string, order: readonly string[] = ['none', 'internal', 'any']) => ({
  key: 'egress',
  rank,
  order,
})
const rows = { key: 'rows', max: 100 }
const honest: Forgery = {}
const scoped = (...scopes: string[]): Forgery => ({ scopes })
const bound = (...constraints: NonNullable<Forgery['constraints']>): Forgery => ({ constraints })
const detail = { type: 'agent_delegation', scopes: ['http.github.*'], constraints: [] }
const reissued = () => {
  const [first, , third] = forge(honest, honest, honest).split('~')
  const [, again] = forge(honest, { payload: { jti: 'again' } }).split('~')
  return [first, again, third].join('~')
}

/** Name in the draft, outcome in the draft, the chain. */
const refused: readonly (readonly [string, string, string])[] = [
  ['alg_not_accepted', 'signature_invalid', forge(honest, { header: { alg: 'EdDSA' } })],
  ['altered_sub_and_par_hash', 'par_hash_mismatch', forge(honest, { payload: { sub: 'mallory', par_hash: 'AAAA' } })],
  ['aud_empty_array', 'malformed', forge(honest, { payload: { aud: [] } })],
  ['aud_null', 'malformed', forge(honest, { payload: { aud: null } })],
  [
    'audience_mismatch',
    'audience_mismatch',
    forge(honest, { payload: { aud: ['spiffe://elsewhere.example/egress'] } }),
  ],
  ['child_exp_exceeds_parent', 'expired', forge(honest, { payload: { exp: seconds + 601 } })],
  [
    'child_raises_del_max_depth',
    'depth_invalid',
    forge({ payload: { del_max_depth: 3 } }, { payload: { del_max_depth: 5 } }),
  ],
  ['cnf_without_confirmation', 'malformed', forge(honest, { payload: { cnf: {} } })],
  ['constraint_extra_member', 'malformed', forge(honest, bound({ ...rows, unit: 'row' }))],
  ['cross_type_lifetime_for_max', 'not_narrower', forge(bound(rows), bound({ key: 'rows', max_lifetime: 10 }))],
  ['detail_extra_member', 'malformed', forge(honest, { detail: { actions: ['read'] } })],
  ['duplicate_key_type', 'malformed', forge(honest, bound(rows, { key: 'rows', max: 5 }))],
  [
    'max_lifetime_widened',
    'not_narrower',
    forge(bound({ key: 'calls', max_lifetime: 5 }), bound({ key: 'calls', max_lifetime: 6 })),
  ],
  [
    'max_subtree_widened',
    'not_narrower',
    forge(bound({ key: 'spend', max_subtree: 5 }), bound({ key: 'spend', max_subtree: 6 })),
  ],
  ['missing_client_id', 'malformed', forge(honest, { payload: { client_id: undefined } })],
  ['missing_cnf', 'malformed', forge(honest, { payload: { cnf: undefined } })],
  ['mixed_case_wildcard', 'malformed', forge(scoped('Crm.*'), scoped('Crm.*'))],
  ['newline_scope', 'malformed', forge(honest, scoped('http.github.read\n'))],
  ['opaque_case_folded', 'not_narrower', forge(scoped('User.Read'), scoped('user.read'))],
  ['opaque_over_wildcard', 'not_narrower', forge(scoped('User.Read'), scoped('user.*'))],
  ['principal_altered', 'principal_altered', forge(honest, { payload: { sub: 'mallory' } })],
  ['rank_order_mismatch', 'not_narrower', forge(bound(egress('any')), bound(egress('none', ['none', 'any'])))],
  ['rank_outside_order', 'malformed', forge(honest, bound(egress('everywhere')))],
  ['rank_without_order', 'malformed', forge(honest, bound({ key: 'egress', rank: 'none' }))],
  ['reissued_parent', 'par_hash_mismatch', reissued()],
  ['root_without_principal', 'malformed', forge({ payload: { sub: undefined } })],
  ['second_detail', 'malformed', forge(honest, { payload: { authorization_details: [detail, detail] } })],
  ['unknown_detail_type', 'malformed', forge(honest, { detail: { type: 'payment' } })],
  ['unsafe_integer', 'malformed', forge(honest, bound({ key: 'rows', max: 2 ** 53 }))],
  ['wildcard_over_opaque', 'not_narrower', forge(scoped('drive.*'), scoped('drive.Read'))],
]

const unknown = { key: 'quota', units: 5 }
const valid: readonly (readonly [string, string])[] = [
  [
    'chain',
    forge(bound(egress('any'), rows), bound(egress('internal'), rows), bound(egress('none'), { key: 'rows', max: 1 })),
  ],
  ['audience_array', forge(honest, { payload: { aud: ['spiffe://elsewhere.example/egress', audience] } })],
  ['opaque_exact', forge(scoped('User.Read', 'crm.*'), scoped('User.Read'))],
  [
    'range_min_max',
    forge(bound(rows, { key: 'rows', min: 1 }), bound({ key: 'rows', max: 50 }, { key: 'rows', min: 2 })),
  ],
  ['unknown_constraint_identical', forge(honest, bound(unknown), bound(unknown))],
]

function present(chain: string, facts = {}) {
  const known = verifyChain(chain, roots, now)
  const held = HeldChain.hold(known, agentAt(known.depth).id, noRevocations)
  checkAction(held, { audience, scopes: [], facts }, { debit: () => undefined })
}

describe('of the cases of the draft', () => {
  it.each(refused)('%s is refused as %s', (_, outcome, chain) =>
    expect(refusal(() => present(chain)).outcome).toBe(outcome),
  )

  it.each(valid)('%s is a good chain', (_, chain) => expect(() => verified(chain)).not.toThrow())

  it('an audience that is one name is taken like a list of it', () =>
    expect(() => present(forge(honest, { payload: { aud: audience } }))).not.toThrow())

  it('unknown_constraint_identical authorizes nothing', () =>
    expect(refusal(() => present(forge(honest, bound(unknown), bound(unknown)))).outcome).toBe('unknown_constraint'))

  it('an unknown constraint that a child changed or dropped is not narrower', () => {
    expect(refusal(() => verified(forge(bound(unknown), bound({ ...unknown, units: 4 })))).outcome).toBe('not_narrower')
    expect(refusal(() => verified(forge(bound(unknown), honest))).outcome).toBe('not_narrower')
  })
})
