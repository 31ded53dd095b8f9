// Totals that are used up, by one token and by all below it.
import { describe, expect, it } from 'vitest'
import { checkAction, type Debit } from '../../../policy/delegation/action.ts'
import { HeldChain } from '../../../policy/delegation/hold.ts'
import { Totals } from '../../../policy/delegation/totals.ts'
import { audience, type Forgery, forge, noRevocations, now, refusal, verified } from './support.ts'

function debit(change: Partial<Debit> = {}): Debit {
  return {
    jti: 'a',
    digest: 'a',
    key: 'calls',
    type: 'max_lifetime',
    bound: 2,
    amount: 1,
    expiresAt: now + 1000,
    ...change,
  }
}

function held(...forgeries: Forgery[]): HeldChain {
  const chain = verified(forge(...forgeries))
  return HeldChain.hold(chain, chain.leaf.id, noRevocations)
}

describe('a total', () => {
  it('is used up, and each token, key and type has its own', () => {
    const totals = new Totals(() => now)
    expect([totals.debit([debit()]), totals.debit([debit()])]).toEqual([undefined, undefined])
    expect(totals.debit([debit()])).toEqual(debit())
    expect(totals.debit([debit({ digest: 'b' })])).toBeUndefined()
    expect(totals.debit([debit({ key: 'cost' })])).toBeUndefined()
    expect(totals.debit([debit({ type: 'max_subtree' })])).toBeUndefined()
  })

  it('takes all or nothing', () => {
    const totals = new Totals(() => now)
    const full = debit({ digest: 'b', bound: 0 })
    for (let i = 0; i < 5; i++) expect(totals.debit([debit(), full])).toBe(full)
    expect(totals.debit([debit({ amount: 2 })])).toBeUndefined()
  })

  it('of a subtree counts what all siblings do, of a token only what it does itself', () => {
    const totals = new Totals(() => now)
    const constraints = [
      { key: 'calls', max_subtree: 3 },
      { key: 'calls', max_lifetime: 2 },
    ]
    const use = (jti: string) =>
      checkAction(held({ constraints }, { constraints, payload: { jti } }), { audience, scopes: [], facts: {} }, totals)
    use('one')
    use('one')
    expect(refusal(() => use('one'))).toMatchObject({ reason: 'chain_ceiling_exceeded', hop: 1 })
    use('two')
    expect(refusal(() => use('two'))).toMatchObject({ reason: 'chain_ceiling_exceeded', hop: 0 })
  })

  it('is written down, and goes on counting where it was restored', () => {
    const totals = new Totals(() => now)
    totals.debit([debit(), debit({ digest: 'b' })])
    const lines = [...totals.takeChanged()]
    expect(totals.hasChanged).toBe(false)
    totals.debit([debit()])
    lines.push(...totals.takeChanged())
    const later = new Totals(() => now)
    for (const line of lines) later.restore(JSON.parse(JSON.stringify(line)))
    expect([...later.all()]).toEqual([...totals.all()])
    expect(later.debit([debit()])).toEqual(debit())
    expect(later.debit([debit({ digest: 'b' })])).toBeUndefined()
    const muchLater = new Totals(() => now + 1_000)
    for (const line of lines) muchLater.restore(line)
    expect([...muchLater.all()]).toEqual([])
  })

  it('that would be one too many is refused until another has expired', () => {
    let clock = now
    const totals = new Totals(() => clock, 2)
    const each = (digest: string) => totals.debit([debit({ digest })])
    expect([each('a'), each('b')]).toEqual([undefined, undefined])
    expect(each('c')).toMatchObject({ digest: 'c' })
    expect(each('a')).toBeUndefined()
    clock = now + 1001
    expect(each('c')).toBeUndefined()
  })
})
