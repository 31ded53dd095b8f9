// A rule that demands a proof, for every kind that there is: any other proofs, however many, are not it.
import { describe, expect, it } from 'vitest'
import { parseSpiffeId } from '../../certs/spiffe-id.ts'
import { compile } from '../../policy/compile.ts'
import { explain } from '../../policy/explain.ts'
import { createEngine } from '../../policy/rule-engine.ts'
import { proofKinds, type Rule } from '../../policy/settings.ts'
import type { ProofKind } from '../../proxy/exchange.ts'
import { question } from './support.ts'

const id = parseSpiffeId('spiffe://acme.example/ns/agents/sa/researcher')
const destinations = [{ name: 'crm', hosts: ['api.crm.example'], ports: [443], protocol: 'https' as const }]
const demanding = (proof: Rule['proof']) =>
  compile({ rules: [{ name: 'proven', allow: { agents: [id], to: 'crm' }, proof }], destinations })
const asked = (...proofs: readonly ProofKind[]) => question({ caller: { id, proofs } })
// Does not compile unless the policy and the attestors know the same kinds.
const kinds: readonly ProofKind[] = proofKinds
const known: Readonly<Record<ProofKind, true>> = {
  'x509-svid': true,
  'jwt-svid': true,
  'kubernetes-token': true,
  kernel: true,
  'run-token': true,
  namespace: true,
  delegation: true,
}

it('the policy knows every kind of proof that a caller can give', () => {
  expect(Object.keys(known).sort()).toEqual([...kinds].sort())
})

describe.each(kinds)('a rule that demands %s', (kind) => {
  const policy = demanding([kind])
  const others = kinds.filter((other) => other !== kind)

  it('allows a caller who gave it, among others or alone', () => {
    const engine = createEngine(policy)
    expect(engine.decide(asked(kind))).toMatchObject({ verdict: 'allow', rule: 'proven' })
    expect(engine.decide(asked(...others, kind))).toMatchObject({ verdict: 'allow', rule: 'proven' })
  })

  it('denies one who gave every other, and says which is lacking', () => {
    expect(createEngine(policy).decide(asked(...others))).toMatchObject({
      verdict: 'deny',
      reason: 'no_rule',
      detail: expect.stringContaining(`nearest rule proven: proof: expected ${kind}, found ${others[0]}`),
    })
    expect(createEngine(policy).decide(asked())).toMatchObject({
      detail: expect.stringContaining(`proof: expected ${kind}, found nothing`),
    })
  })

  it('is explained with what was given', () => {
    const [rule] = explain(policy, asked('kernel')).rules
    expect(rule?.matched).toBe(kind === 'kernel')
    expect(rule?.conditions).toContainEqual({
      key: 'proof',
      expected: kind,
      actual: 'kernel',
      outcome: kind === 'kernel' ? 'met' : 'unmet',
    })
  })

  it('together with another demands both', () => {
    for (const other of others) {
      const engine = createEngine(demanding([kind, other]))
      expect(engine.decide(asked(kind)).verdict).toBe('deny')
      expect(engine.decide(asked(other, kind)).verdict).toBe('allow')
    }
  })
})
