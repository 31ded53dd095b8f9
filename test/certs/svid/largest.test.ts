// The largest certificate that is looked into, to the byte; hostile ones beyond it come over TLS in test/hostile/svids.test.ts.
import { expect, it } from 'vitest'
import { validateX509Svid } from '../../../certs/svid/validate.ts'
import { maxLength } from '../../../certs/x509/certificate.ts'
import { extension } from '../../../certs/x509/issue.ts'
import { type Bent, makeAuthority, makeBundle, makeKey, makeSvid } from '../../support/pki.ts'

const agent = 'spiffe://acme.example/agent'
// Its signatures are all of one length.
const root = makeAuthority({ key: makeKey('rsa2048') })
const bundle = makeBundle('acme.example', root)
const key = makeKey('rsa2048')

const padding = (length: number) => extension('1.3.6.1.4.1.55555.1', false, new Uint8Array(length))
/** What makes a certificate of so many bytes. */
function ofLength(length: number, make: (bent: Bent) => { readonly certificate: Uint8Array }): Bent {
  const bent = (more: number): Bent => ({ key, serial: Uint8Array.of(7), extra: [padding(more)] })
  const besides = make(bent(10_000)).certificate.length - 10_000
  return bent(length - besides)
}

const validate = (chain: readonly Uint8Array[]) => validateX509Svid({ chain, bundleFor: () => bundle, now: Date.now() })
const tooLarge = expect.objectContaining({ code: 'svid_unparsable', detail: 'a certificate is too large' })

it('a leaf of 16,384 bytes is looked into, and not one with a byte more', () => {
  const leafOf = (length: number) =>
    makeSvid(
      root,
      agent,
      ofLength(length, (bent) => makeSvid(root, agent, bent)),
    )
  const [largest, larger] = [leafOf(maxLength), leafOf(maxLength + 1)]
  expect([largest.certificate.length, larger.certificate.length]).toEqual([16_384, 16_385])
  expect(validate(largest.chain).id).toBe(agent)
  expect(() => validate(larger.chain)).toThrow(tooLarge)
})

it('nor an authority between with a byte more', () => {
  const middleOf = (length: number) =>
    makeAuthority({ parent: root, ...ofLength(length, (bent) => makeAuthority({ parent: root, ...bent })) })
  const [largest, larger] = [middleOf(maxLength), middleOf(maxLength + 1)]
  expect(validate(makeSvid(largest, agent).chain).id).toBe(agent)
  expect(() => validate(makeSvid(larger, agent).chain)).toThrow(tooLarge)
})
