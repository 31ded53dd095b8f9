// X509-SVIDs of which everything but the signature is the input's: whoever has an authority of the domain could have made it.
import { X509Certificate } from 'node:crypto'
import { SvidError } from '../../../certs/svid/error.ts'
import { validateX509Svid } from '../../../certs/svid/validate.ts'
import { DerReader } from '../../../certs/x509/der-reader.ts'
import { tags } from '../../../certs/x509/der-tags.ts'
import { bitString, oid, sequence } from '../../../certs/x509/der-writer.ts'
import { extendedKeyUsage, keyUsage, name, subjectAltName } from '../../../certs/x509/issue.ts'
import { oids } from '../../../certs/x509/oids.ts'
import { makeAuthority, makeBundle, makeSvid, signerOf } from '../../support/pki.ts'
import { mutatedDer } from '../der.ts'
import { must, mustEqual, type Target, unlessRefused } from '../target.ts'

const id = 'spiffe://acme.example/ns/agents/sa/researcher'
const now = Date.parse('2026-06-01T00:00:00Z')
const span = { notBefore: now - 3_600_000, notAfter: now + 3_600_000 }
const root = makeAuthority({ ...span, subject: name([oids.commonName, 'fuzz root']) })
const stranger = makeAuthority({ ...span, subject: name([oids.commonName, 'fuzz root']) })
const bundle = makeBundle('acme.example', root)
const bundleFor = (domain: string) => (domain === 'acme.example' ? bundle : undefined)
const signer = signerOf(root.key)
const { certificate } = makeSvid(root, id, span)

const signedPart = (der: Uint8Array) => DerReader.only(der, tags.sequence).next(tags.sequence).whole
const words = [
  ...Object.values(oids).map(oid),
  subjectAltName(true, { uri: id }),
  subjectAltName(false, { uri: 'spiffe://evil.example/x' }, { dns: 'a.example' }),
  keyUsage(0xff),
  extendedKeyUsage(oids.serverAuth),
  Buffer.concat([Buffer.of(0x86, id.length), Buffer.from(id)]),
  ...[
    [1, 1, 255],
    [48, 3, 1, 1, 255],
    [48, 0],
    [3, 2, 7, 128],
    [2, 1, 2],
  ].map((bytes) => Uint8Array.from(bytes)),
]

export const target: Target = {
  name: 'svid',
  longest: 3_000,
  seeds: [
    signedPart(certificate),
    signedPart(makeSvid(root, 'spiffe://acme.example', span).certificate),
    signedPart(root.certificate),
  ],
  dictionary: [...words, id, 'spiffe://', '..'],
  mutate: (input, random) => mutatedDer(input, random, words),
  run(input) {
    const leaf = sequence(input, signer.algorithm, bitString(signer.sign(input)))
    const valid = unlessRefused(() => validateX509Svid({ chain: [leaf], bundleFor, now }), isNamed)
    if (valid === undefined) return
    const forged = sequence(input, signer.algorithm, bitString(signerOf(stranger.key).sign(input)))
    const stolen = unlessRefused(
      () => validateX509Svid({ chain: [forged, stranger.certificate], bundleFor, now }),
      isNamed,
    )
    must(stolen === undefined, 'it is taken with the signature of a stranger')
    must(valid.id.startsWith('spiffe://acme.example/'), `an identity of another domain: ${valid.id}`)
    must(valid.expiresAt >= now, 'one that has expired')
    // OpenSSL reads the same in it.
    const other = new X509Certificate(leaf)
    must(!other.ca, 'an authority')
    must(
      (other.subjectAltName ?? '')
        .split(', ')
        .filter((each) => each.startsWith('URI:'))
        .join() === `URI:${valid.id}`,
      `another name: ${other.subjectAltName}`,
    )
    mustEqual(other.serialNumber.toLowerCase().replace(/^0*(?=.)/, ''), valid.serial, 'another serial')
    must(Date.parse(other.validFrom) <= now && Date.parse(other.validTo) >= now, 'another time')
  },
}

const isNamed = (error: unknown) => error instanceof SvidError
