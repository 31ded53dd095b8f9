// Certificates, revocation lists and PEM files taken apart: nothing but named errors, and what is taken can be put together again.
import { certificatePem, PemError, pemBlocks } from '../../../certs/pem.ts'
import { parseRevocationList } from '../../../certs/svid/revocation.ts'
import { canonicalName } from '../../../certs/x509/canonical-name.ts'
import { type Certificate, parseCertificate } from '../../../certs/x509/certificate.ts'
import { DerError } from '../../../certs/x509/der-reader.ts'
import { bitString, oid, sequence } from '../../../certs/x509/der-writer.ts'
import {
  alternativeNamesOf,
  basicConstraintsOf,
  extendedKeyUsageOf,
  keyUsageOf,
  nameConstraintsOf,
} from '../../../certs/x509/extensions.ts'
import { acceptedKey } from '../../../certs/x509/keys.ts'
import { oids } from '../../../certs/x509/oids.ts'
import { makeAuthority, makeSvid } from '../../support/pki.ts'
import { makeRevocationList } from '../../support/revocation-list.ts'
import { mutatedDer } from '../der.ts'
import { latin1, must, mustEqual, type Target, unlessRefused } from '../target.ts'

const isNamed = (error: unknown) => error instanceof DerError || error instanceof PemError
const authority = makeAuthority({ pathLength: 1, uri: 'spiffe://acme.example' })
const leaf = makeSvid(authority, 'spiffe://acme.example/agent')
const words = [
  ...Object.values(oids).map(oid),
  ...[
    [5, 0],
    [1, 1, 255],
    [1, 1, 0],
    [2, 1, 0],
    [2, 1, 2],
    [48, 0],
    [3, 2, 7, 128],
    [3, 1, 0],
    [0x30, 0x80, 0, 0],
  ].map((bytes) => Uint8Array.from(bytes)),
]

export const target: Target = {
  name: 'certificate',
  longest: 4_096,
  seeds: [leaf.certificate, authority.certificate, authority.pem, makeRevocationList(authority, [Uint8Array.of(1, 2)])],
  dictionary: [...words, '-----BEGIN CERTIFICATE-----', '-----END CERTIFICATE-----', '-----BEGIN ', '\n'],
  mutate: (input, random) => mutatedDer(input, random, words),
  run(input) {
    const certificate = unlessRefused(() => parseCertificate(input), isNamed)
    if (certificate !== undefined) check(certificate)
    const list = unlessRefused(() => parseRevocationList(input), isNamed)
    must(list === undefined || Buffer.from(input).includes(list.signed), 'a list from nowhere')
    for (const { der } of unlessRefused(() => pemBlocks(latin1(input)), isNamed) ?? []) {
      const [again] = pemBlocks(certificatePem(der))
      must(again !== undefined && Buffer.from(der).equals(again.der), 'PEM that does not come back')
    }
  },
}

function check(certificate: Certificate): void {
  const { der, signed, signatureAlgorithm, signature, notBefore, notAfter, serial, publicKey } = certificate
  const { oid: algorithm, parameters } = signatureAlgorithm
  const written = sequence(
    signed,
    sequence(oid(algorithm), ...(parameters === undefined ? [] : [parameters])),
    bitString(signature),
  )
  must(Buffer.from(written).equals(der), 'it is not what its parts make')
  must(isShortest(signed, 1), 'a length that is not in its shortest form')
  must(Number.isFinite(notBefore) && Number.isFinite(notAfter), 'a time that is none')
  must(/^[0-9a-f]+$/.test(serial), 'a serial')
  unlessRefused(() => canonicalName(certificate.subject), isNamed)
  for (const read of [alternativeNamesOf, basicConstraintsOf, extendedKeyUsageOf, keyUsageOf, nameConstraintsOf])
    unlessRefused<unknown>(() => read(certificate), isNamed)
  const key = unlessRefused(() => acceptedKey(publicKey), isNamed)
  if (key !== undefined) mustEqual(typeof key, 'object', 'a key')
}

/** Whether each length is in its shortest form; @param depth levels of members that are looked at */
function isShortest(bytes: Uint8Array, depth: number): boolean {
  for (let at = 0; at < bytes.length; ) {
    const first = bytes[at + 1] ?? 0
    const octets = first < 0x80 ? 0 : first & 0x7f
    const length = octets === 0 ? first : Buffer.from(bytes).readUIntBE(at + 2, octets)
    if (octets > 0 && (length < 0x80 || bytes[at + 2] === 0)) return false
    const start = at + 2 + octets
    if (depth > 0 && !isShortest(bytes.subarray(start, start + length), depth - 1)) return false
    at = start + length
  }
  return true
}
