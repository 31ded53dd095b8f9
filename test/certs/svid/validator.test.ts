// What the validator remembers, and what makes it look again.
import { describe, expect, test } from 'vitest'
import type { TrustBundle } from '../../../certs/source.ts'
import { SvidValidator } from '../../../certs/svid/validator.ts'
import { makeAuthority, makeBundle, makeSvid } from '../../support/pki.ts'

const agent = 'spiffe://acme.example/agent'
const root = makeAuthority()

function setUp(capacity?: number) {
  const state: { now: number; bundle: TrustBundle | undefined } = {
    now: Date.now(),
    bundle: makeBundle('acme.example', root),
  }
  const validator = new SvidValidator({
    bundleFor: (domain) => (domain === 'acme.example' ? state.bundle : undefined),
    now: () => state.now,
    ...(capacity === undefined ? {} : { capacity }),
  })
  return { state, validator }
}

describe('SvidValidator', () => {
  const { chain } = makeSvid(root, agent)

  test('refuses a remembered chain once its certificate has expired', () => {
    const { state, validator } = setUp()
    const { expiresAt } = validator.validate(chain)
    state.now = expiresAt
    expect(validator.validate(chain).id).toBe(agent)
    state.now = expiresAt + 1
    expect(() => validator.validate(chain)).toThrow('svid_expired')
  })

  test('refuses a remembered chain once its bundle is withdrawn', () => {
    const { state, validator } = setUp()
    validator.validate(chain)
    state.bundle = undefined
    expect(() => validator.validate(chain)).toThrow('svid_untrusted_domain')
  })

  test('refuses a remembered chain once its root has left the bundle', () => {
    const { state, validator } = setUp()
    validator.validate(chain)
    state.bundle = makeBundle('acme.example', makeAuthority())
    expect(() => validator.validate(chain)).toThrow('svid_no_path_to_root')
  })

  test('looks again when the clock is set back before the certificate', () => {
    const { state, validator } = setUp()
    validator.validate(chain)
    state.now -= 7_200_000
    expect(() => validator.validate(chain)).toThrow('svid_not_yet_valid')
  })

  test('does not remember a refusal', () => {
    const { state, validator } = setUp()
    const bundle = state.bundle
    state.bundle = undefined
    expect(() => validator.validate(chain)).toThrow('svid_untrusted_domain')
    state.bundle = bundle
    expect(validator.validate(chain).id).toBe(agent)
  })

  test('takes the same bytes cut elsewhere for another chain', () => {
    const { validator } = setUp()
    const [leaf = new Uint8Array()] = chain
    validator.validate([leaf])
    expect(() => validator.validate([leaf.subarray(0, 100), leaf.subarray(100)])).toThrow('svid_unparsable')
  })

  test('gives back what it remembers, up to its capacity', () => {
    const { validator } = setUp(2)
    const first = validator.validate(chain)
    expect(validator.validate(chain)).toBe(first)
    validator.validate(makeSvid(root, agent).chain)
    expect(validator.validate(chain)).toBe(first)
    validator.validate(makeSvid(root, agent).chain)
    expect(validator.validate(chain)).toEqual(first)
    expect(validator.validate(chain)).not.toBe(first)
  })
})
