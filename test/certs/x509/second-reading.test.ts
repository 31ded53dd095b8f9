// No chain is accepted that OpenSSL reads otherwise, or not at all, though an authority of the domain signed it.
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { SvidError } from '../../../certs/svid/error.ts'
import { takeOwnSvid } from '../../../certs/svid/own.ts'
import { bitString, element, oid, sequence, set } from '../../../certs/x509/der-writer.ts'
import { extension } from '../../../certs/x509/issue.ts'
import { oids } from '../../../certs/x509/oids.ts'
import { generalName, kinds } from '../../support/hostile-svids.ts'
import { type Bent, makeAuthority, makeKey, makeSvid } from '../../support/pki.ts'
import {
  agent,
  chains,
  disagreement,
  middle,
  root,
  signedBy,
  signedPart,
  span,
  validate,
} from '../../support/signed-chains.ts'

/** Of a run that is not of the suite: 200,000 take a minute and a half. */
const cases = Number(process.env.POSTERN_CHAINS ?? 1_000)

function reasonOf(act: () => unknown): string {
  try {
    act()
  } catch (error) {
    if (error instanceof SvidError) return `${error.code}: ${error.detail}`
    throw error
  }
  return 'accepted'
}

const unread = 'svid_unparsable: OpenSSL cannot read a certificate'
const others = (what: string) => `svid_unparsable: OpenSSL reads ${what} in a certificate`

const attribute = (...value: readonly Uint8Array[]) => sequence(set(sequence(oid(oids.commonName), ...value)))
const text = element(12, Uint8Array.of(65))
const notUtf8 = element(12, Uint8Array.of(0xc3, 0x28))
const besides = (...names: readonly Uint8Array[]): Bent => ({
  subjectAltName: extension(oids.subjectAltName, false, sequence(generalName(kinds.uri, agent), ...names)),
})
/** The same with other bytes in one place, signed again. */
function changed(der: Uint8Array, from: readonly number[], to: readonly number[]): Uint8Array {
  const bytes = Buffer.from(signedPart(der))
  const at = bytes.indexOf(Uint8Array.from(from))
  if (at === -1 || bytes.indexOf(Uint8Array.from(from), at + 1) !== -1) throw new Error('it does not stand there once')
  bytes.set(to, at)
  return signedBy(root, bytes)
}

describe('refused, though an authority signed it', () => {
  test.each<[string, Bent, string]>([
    ['a subject that is not UTF-8', { subject: attribute(notUtf8) }, unread],
    ['a subject of half a BMP character', { subject: attribute(element(30, Uint8Array.of(65))) }, unread],
    ['a subject with two values in one attribute', { subject: attribute(text, text) }, unread],
    ['a subject with an attribute without a value', { subject: attribute() }, unread],
    [
      'a directory name that is not UTF-8',
      besides(generalName(kinds.directory, attribute(notUtf8))),
      others('other URIs'),
    ],
    ['a directory name of another shape', besides(generalName(kinds.directory, text)), others('other URIs')],
    ['another name without its kind', besides(element(0xa0, text)), others('other URIs')],
    ['a registered ID that is empty', besides(element(0x88)), others('other URIs')],
  ])('a leaf with %s', (_, bent, reason) => {
    expect(reasonOf(() => validate([makeSvid(root, agent, { ...span, ...bent }).certificate]))).toBe(reason)
  })

  test('a leaf with a serial below zero', () => {
    const { certificate } = makeSvid(root, agent, { ...span, serial: Uint8Array.of(0x41, 0x42, 0x43) })
    const below = changed(certificate, [2, 3, 0x41, 0x42, 0x43], [2, 3, 0xc1, 0x42, 0x43])
    expect(reasonOf(() => validate([below]))).toBe(others('another serial'))
  })

  test.each([
    ['of its own key', [4, 22, 4, 20], [4, 22, 3, 20]],
    ['of the key above it', [0x30, 22, 0x80, 20], [0x30, 22, 0x81, 20]],
  ] as const)(
    'an intermediate with a malformed identifier %s, which the TLS stack takes for no authority',
    (_, from, to) => {
      const { certificate } = makeSvid(middle, agent, span)
      expect(reasonOf(() => validate([certificate, middle.certificate]))).toBe('accepted')
      expect(reasonOf(() => validate([certificate, changed(middle.certificate, from, to)]))).toBe(
        others('something else about whether it is an authority'),
      )
    },
  )

  test('an intermediate whose name cannot be read', () => {
    const above = makeAuthority({ ...span, parent: root, subject: attribute(notUtf8) })
    expect(reasonOf(() => validate(makeSvid(above, agent, span).chain))).toBe(unread)
  })

  test('a root whose name cannot be read: it is none', () => {
    const nameless = makeAuthority({ ...span, subject: attribute(notUtf8) })
    expect(reasonOf(() => validate(makeSvid(nameless, agent, span).chain, nameless))).toMatch('svid_no_path_to_root')
  })

  test("one's own", () => {
    const key = makeKey()
    const { chain } = makeSvid(root, agent, { key, subject: attribute(notUtf8) })
    expect(reasonOf(() => takeOwnSvid(chain, key.privateKey.export({ type: 'pkcs8', format: 'der' })))).toBe(unread)
  })
})

test('keys of every kind, as points in short and in long form, are read alike', () => {
  for (const kind of ['p256', 'p384', 'p521', 'rsa2048', 'ed25519'] as const)
    expect(reasonOf(() => validate([makeSvid(root, agent, { ...span, key: makeKey(kind) }).certificate]))).toBe(
      'accepted',
    )
  const key = makeKey()
  const point = key.publicKey.subarray(-65)
  const short = Buffer.concat([Buffer.of(2 + ((point[64] ?? 0) & 1)), point.subarray(1, 33)])
  const publicKey = sequence(sequence(oid(oids.ecPublicKey), oid(oids.p256)), bitString(short))
  expect(reasonOf(() => validate([makeSvid(root, agent, { ...span, key: { ...key, publicKey } }).certificate]))).toBe(
    'accepted',
  )
})

test('whatever is changed in leaf, intermediate or signature: what is accepted is the same to OpenSSL', () => {
  let accepted = 0
  fc.assert(
    fc.property(chains, (chain) => {
      let id: string
      try {
        id = validate(chain).id
      } catch (error) {
        if (error instanceof SvidError) return
        throw error
      }
      accepted++
      expect(disagreement(chain, id)).toBeUndefined()
    }),
    { numRuns: cases },
  )
  // Else it would say nothing.
  expect(accepted).toBeGreaterThan(cases / 50)
}, 600_000)
