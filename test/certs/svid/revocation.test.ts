// Revocation lists: those that mean something else than they seem are not read as if they did not.
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { isRevoked, parseRevocationList } from '../../../certs/svid/revocation.ts'
import { parseCertificate } from '../../../certs/x509/certificate.ts'
import { DerError } from '../../../certs/x509/der-reader.ts'
import { sequence } from '../../../certs/x509/der-writer.ts'
import { extension } from '../../../certs/x509/issue.ts'
import { acceptedKey } from '../../../certs/x509/keys.ts'
import { makeAuthority, makeSvid } from '../../support/pki.ts'
import { makeRevocationList } from '../../support/revocation-list.ts'

const root = makeAuthority()
const serial = Uint8Array.of(1, 2)

describe('parseRevocationList', () => {
  const critical = extension('2.5.29.28', true, sequence())
  const harmless = extension('2.5.29.20', false, sequence())
  test.each([
    ['a list for a part of the certificates', makeRevocationList(root, [serial], { extensions: [critical] })],
    ['entries of another issuer', makeRevocationList(root, [serial], { entryExtensions: [critical] })],
    ['a certificate', root.certificate],
    ['nothing', new Uint8Array()],
    ['a list with a byte behind it', Buffer.concat([makeRevocationList(root, []), Uint8Array.of(0)])],
  ])('refuses %s', (_, der) => {
    expect(() => parseRevocationList(der)).toThrow(DerError)
  })

  test('reads lists with and without entries and extensions', () => {
    const shape = { extensions: [harmless], entryExtensions: [harmless] }
    expect(parseRevocationList(makeRevocationList(root, [serial, Uint8Array.of(0x80)], shape)).serials).toEqual(
      new Set(['102', '80']),
    )
    expect(parseRevocationList(makeRevocationList(root, [])).serials.size).toBe(0)
  })

  test('throws nothing but DerError at damaged lists', () => {
    const sound = Buffer.from(makeRevocationList(root, [serial]))
    fc.assert(
      fc.property(fc.nat({ max: sound.length - 1 }), fc.nat({ max: 255 }), (at, value) => {
        const copy = Buffer.from(sound)
        copy[at] = value
        try {
          parseRevocationList(copy)
        } catch (error) {
          expect(error).toBeInstanceOf(DerError)
        }
      }),
      { numRuns: 1000 },
    )
  })
})

test('a serial counts with the name of the issuer and its signature alone', () => {
  const certificate = parseCertificate(makeSvid(root, 'spiffe://a/b', { serial }).certificate)
  const key = acceptedKey(root.key.publicKey)
  if (key === undefined) throw new Error('the key is accepted')
  const revoked = (list: Uint8Array) => isRevoked(certificate, key, [parseRevocationList(list)])
  const stranger = makeAuthority()
  expect(revoked(makeRevocationList(stranger, [serial]))).toBe(false)
  expect(revoked(makeRevocationList(stranger, [serial], { issuer: root.name }))).toBe(false)
  expect(revoked(makeRevocationList(root, [Uint8Array.of(1)]))).toBe(false)
  expect(revoked(makeRevocationList(root, [serial]))).toBe(true)
})
