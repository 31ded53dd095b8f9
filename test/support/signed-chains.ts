// Chains in which an authority signed anything, and what OpenSSL reads in them.
import { createPublicKey, X509Certificate } from 'node:crypto'
import fc from 'fast-check'
import { type ValidSvid, validateX509Svid } from '../../certs/svid/validate.ts'
import { parseCertificate } from '../../certs/x509/certificate.ts'
import { DerReader } from '../../certs/x509/der-reader.ts'
import { tags } from '../../certs/x509/der-tags.ts'
import { bitString, element, oid, sequence } from '../../certs/x509/der-writer.ts'
import { extendedKeyUsage, extension, keyUsage, name, subjectAltName } from '../../certs/x509/issue.ts'
import { oids } from '../../certs/x509/oids.ts'
import { mutatedDer } from '../fuzz/der.ts'
import { Random } from '../fuzz/random.ts'
import { generalName, kinds } from './hostile-svids.ts'
import { type Authority, makeAuthority, makeBundle, makeKey, makeSvid, signerOf } from './pki.ts'

export const agent = 'spiffe://acme.example/agent'
const now = Date.parse('2026-06-01T00:00:00Z')
export const span = { notBefore: now - 3_600_000, notAfter: now + 3_600_000 }
export const root = makeAuthority(span)
export const middle = makeAuthority({ ...span, parent: root, uri: 'spiffe://acme.example', pathLength: 1 })
const ours = makeBundle('acme.example', root)
const directory = name([oids.commonName, 'a'], [oids.organizationName, 'b'])

const leaves = [
  makeSvid(root, agent, span),
  makeSvid(root, agent, {
    ...span,
    key: makeKey('ed25519'),
    subject: sequence(),
    subjectAltName: subjectAltName(true, { uri: agent }),
  }),
  makeSvid(root, agent, { ...span, key: makeKey('rsa2048'), extendedKeyUsage: null }),
  makeSvid(root, agent, {
    ...span,
    subject: directory,
    subjectAltName: extension(
      oids.subjectAltName,
      false,
      sequence(
        generalName(kinds.uri, agent),
        generalName(kinds.dns, 'a.example'),
        generalName(kinds.ip, Uint8Array.of(10, 0, 0, 1)),
        generalName(kinds.directory, directory),
        generalName(kinds.email, 'a@b.example'),
        // otherName and registeredID.
        element(0xa0, oid('1.2.3.4'), element(0xa0, Uint8Array.of(12, 1, 65))),
        element(0x88, Uint8Array.of(42, 3, 4)),
      ),
    ),
    extra: [extension('1.2.3.4', false, Uint8Array.of(5, 0))],
  }),
].map(({ certificate }) => signedPart(certificate))

/** Elements that are put in. */
const words = [
  ...Object.values(oids).map(oid),
  subjectAltName(true, { uri: agent }),
  subjectAltName(false, { uri: 'spiffe://evil.example/x' }, { dns: 'a.example' }),
  keyUsage(0xff),
  extendedKeyUsage(oids.serverAuth),
  generalName(kinds.uri, agent),
  directory,
  ...[
    [1, 1, 255],
    [1, 1, 0],
    [48, 3, 1, 1, 255],
    [48, 0],
    [49, 0],
    [3, 2, 7, 128],
    [3, 1, 0],
    [2, 1, 2],
    [2, 1, 255],
    [5, 0],
    [6, 0],
    [6, 1, 42],
    [12, 2, 0xc3, 0x28],
    [30, 1, 65],
    [28, 2, 0, 65],
    [19, 1, 0xff],
    [0x81, 2, 7, 128],
    [0x82, 2, 0, 1],
  ].map((bytes) => Uint8Array.from(bytes)),
]

/** What its issuer signed. */
export function signedPart(der: Uint8Array): Uint8Array {
  return DerReader.only(der, tags.sequence).next(tags.sequence).whole
}

/** What an authority puts its name to. */
export function signedBy(authority: Authority, signed: Uint8Array): Uint8Array {
  const signer = signerOf(authority.key)
  return sequence(signed, signer.algorithm, bitString(signer.sign(signed)))
}

interface Edit {
  readonly at: number
  readonly byte: number
  readonly kind: 'set' | 'flip' | 'put' | 'cut'
}

function edited(der: Uint8Array, edits: readonly Edit[]): Uint8Array {
  const bytes = [...der]
  for (const { at, byte, kind } of edits) {
    const place = at % bytes.length
    if (kind === 'put') bytes.splice(place, 0, byte)
    else if (kind === 'cut') bytes.splice(place, 1)
    else bytes[place] = kind === 'set' ? byte : (bytes[place] ?? 0) ^ (1 << (byte % 8))
  }
  return Uint8Array.from(bytes)
}

const edits = fc.array(
  fc.record({
    at: fc.nat(4_095),
    byte: fc.nat(255),
    kind: fc.constantFrom('set', 'flip', 'flip', 'put', 'cut'),
  }),
  { minLength: 1, maxLength: 3 },
)
/** By bytes, or by whole elements so that all lengths fit; the former finds what is read loosely, the latter what is not looked at. */
const change = fc.oneof(
  edits.map((list) => (der: Uint8Array) => edited(der, list)),
  fc.nat(0x7fff_ffff).map((seed) => (der: Uint8Array) => mutatedDer(der, new Random(seed), words)),
)

/** The leaf changed and signed, an intermediate changed and signed above a leaf that names it, or bytes outside of what is signed. */
export const chains: fc.Arbitrary<readonly Uint8Array[]> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.tuple(fc.constantFrom(...leaves), change).map(([leaf, act]) => [signedBy(root, act(leaf))]),
  },
  {
    weight: 3,
    arbitrary: change.map((act) => {
      const above = signedBy(root, act(signedPart(middle.certificate)))
      return [makeSvid({ ...middle, name: subjectOf(above) ?? middle.name }, agent, span).certificate, above]
    }),
  },
  {
    weight: 1,
    arbitrary: fc.tuple(fc.constantFrom(...leaves), change).map(([leaf, act]) => [act(signedBy(root, leaf))]),
  },
)

function subjectOf(der: Uint8Array): Uint8Array | undefined {
  try {
    return parseCertificate(der).subject
  } catch {
    return undefined
  }
}

/** @throws SvidError */
export function validate(chain: readonly Uint8Array[], authority = root): ValidSvid {
  const bundle = authority === root ? ours : makeBundle('acme.example', authority)
  return validateX509Svid({ chain, bundleFor: (domain) => (domain === 'acme.example' ? bundle : undefined), now })
}

/** What OpenSSL reads otherwise in a chain that was accepted for this ID, or not at all; undefined: nothing. */
export function disagreement(chain: readonly Uint8Array[], id: string): string | undefined {
  for (const [at, der] of chain.entries()) {
    const found = disagreementOn(der) ?? (at === 0 ? namesBesides(der, id) : undefined)
    if (found !== undefined) return found
    if (new X509Certificate(der).ca !== at > 0) return at > 0 ? 'no authority' : 'an authority'
  }
  return undefined
}

function disagreementOn(der: Uint8Array): string | undefined {
  const ours = parseCertificate(der)
  const key = createPublicKey({ key: Buffer.from(ours.publicKey), type: 'spki', format: 'der' })
  try {
    const theirs = new X509Certificate(der)
    if (!theirs.publicKey.equals(key)) return 'another key'
    if (theirs.validFromDate.getTime() !== ours.notBefore) return `from ${theirs.validFrom}`
    if (theirs.validToDate.getTime() !== ours.notAfter) return `to ${theirs.validTo}`
    return theirs.serialNumber.startsWith('-') ? `the serial ${theirs.serialNumber}` : undefined
  } catch (error) {
    return `nothing: ${error}`
  }
}

function namesBesides(der: Uint8Array, id: string): string | undefined {
  const { subjectAltName = '' } = new X509Certificate(der)
  const uris = subjectAltName.match(/(?<=^|, )URI:[^,]*/g) ?? []
  return uris.join() === `URI:${id}` ? undefined : `the names ${subjectAltName}`
}
