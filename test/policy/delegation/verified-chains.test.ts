// What is kept of verified chains, and what ends it.
import { describe, expect, it } from 'vitest'
import type { Roots } from '../../../policy/delegation/keys.ts'
import { VerifiedChains } from '../../../policy/delegation/verified-chains.ts'
import { forge, now, refusal, roots } from './support.ts'

function counting(): { roots: Roots; asked: () => number } {
  let asked = 0
  return {
    asked: () => asked,
    roots: {
      find(issuer, keyId) {
        asked++
        return roots.find(issuer, keyId)
      },
    },
  }
}

const chain = forge({}, { payload: { exp: Math.floor(now / 1000) + 60 } })

describe('a verified chain', () => {
  it('is verified once, and no other chain is taken for it', () => {
    const { roots, asked } = counting()
    const chains = new VerifiedChains(roots)
    const first = chains.verify(chain, now, 1)
    expect(chains.verify(chain, now + 1, 1)).toBe(first)
    expect(asked()).toBe(1)
    expect(refusal(() => chains.verify(`${chain}A`, now, 1)).reason).toBe('chain_signature_invalid')
  })

  it('is refused once its first hop expires', () => {
    const chains = new VerifiedChains(roots)
    expect(chains.verify(chain, now, 1).expiresAt).toBe(now + 60_000)
    expect(chains.verify(chain, now + 60_000, 1).depth).toBe(1)
    expect(refusal(() => chains.verify(chain, now + 60_001, 1))).toMatchObject({ reason: 'chain_expired', hop: 1 })
  })

  it('is refused when the clock goes back behind its beginning', () => {
    const chains = new VerifiedChains(roots)
    chains.verify(chain, now, 1)
    expect(refusal(() => chains.verify(chain, now - 31_000, 1)).reason).toBe('chain_expired')
  })

  it('is verified anew in another epoch, and refused when its root has gone', () => {
    let trusted = true
    const chains = new VerifiedChains({ find: (issuer, key) => (trusted ? roots.find(issuer, key) : undefined) })
    chains.verify(chain, now, 1)
    trusted = false
    expect(refusal(() => chains.verify(chain, now, 2)).reason).toBe('chain_signature_invalid')
    expect(refusal(() => chains.verify(chain, now, 1)).reason).toBe('chain_signature_invalid')
  })

  it('is not kept when it is longer than any header', () => {
    const { roots, asked } = counting()
    const chains = new VerifiedChains(roots)
    const scopes = Array.from({ length: 100 }, (_, index) => `long.s${index}${'x'.repeat(200)}`)
    for (let i = 0; i < 3; i++) expect(chains.verify(forge({ scopes }), now, 1).depth).toBe(0)
    expect(asked()).toBe(3)
  })

  it('is never kept when it was refused', () => {
    const { roots, asked } = counting()
    const chains = new VerifiedChains(roots)
    for (let i = 0; i < 3; i++) refusal(() => chains.verify(chain, now + 3_600_000, 1))
    expect(asked()).toBe(3)
  })
})
