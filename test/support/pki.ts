// Certificates for tests: authorities, X509-SVIDs sound and hostile, server certificates. Everything can be bent.
import { generateKeyPairSync, type KeyObject, sign } from 'node:crypto'
import { certificatePem } from '../../certs/pem.ts'
import type { TrustBundle, X509Svid } from '../../certs/source.ts'
import { parseSpiffeId, parseTrustDomain } from '../../certs/spiffe-id.ts'
import { nullValue, oid, sequence } from '../../certs/x509/der-writer.ts'
import { ipBytes } from '../../certs/x509/ip-bytes.ts'
import {
  type AlternativeName,
  authorityConstraints,
  authorityKeyIdentifier,
  endEntityConstraints,
  extendedKeyUsage,
  issueCertificate,
  keyIdentifier,
  keyUsage,
  name,
  randomSerial,
  type Signer,
  subjectAltName,
  subjectKeyIdentifier,
  usage,
} from '../../certs/x509/issue.ts'
import { oids } from '../../certs/x509/oids.ts'

export type KeyKind =
  | 'p256'
  | 'p384'
  | 'p521'
  | 'ed25519'
  | 'rsa2048'
  | 'rsa1024'
  | 'rsa2048-e3'
  | 'secp256k1'
  | 'rsa-pss'
  | 'ed448'
  | 'p256-explicit'
  | 'p224'

export interface KeyPair {
  readonly kind: KeyKind
  readonly privateKey: KeyObject
  /** DER of the SubjectPublicKeyInfo. */
  readonly publicKey: Uint8Array
}

/** A fresh key. RSA keys take some 50 ms and are made once for each kind. */
export function makeKey(kind: KeyKind = 'p256'): KeyPair {
  const known = slowKeys.get(kind)
  if (known !== undefined) return known
  const { publicKey, privateKey } = generate(kind)
  const pair = { kind, privateKey, publicKey: publicKey.export({ type: 'spki', format: 'der' }) }
  if (kind.startsWith('rsa')) slowKeys.set(kind, pair)
  return pair
}

const slowKeys = new Map<KeyKind, KeyPair>()

function generate(kind: KeyKind): { publicKey: KeyObject; privateKey: KeyObject } {
  switch (kind) {
    case 'p256':
      return generateKeyPairSync('ec', { namedCurve: 'P-256' })
    case 'p384':
      return generateKeyPairSync('ec', { namedCurve: 'P-384' })
    case 'p521':
      return generateKeyPairSync('ec', { namedCurve: 'P-521' })
    case 'p224':
      return generateKeyPairSync('ec', { namedCurve: 'P-224' })
    case 'p256-explicit':
      return generateKeyPairSync('ec', { namedCurve: 'P-256', paramEncoding: 'explicit' })
    case 'secp256k1':
      return generateKeyPairSync('ec', { namedCurve: 'secp256k1' })
    case 'ed25519':
      return generateKeyPairSync('ed25519')
    case 'ed448':
      return generateKeyPairSync('ed448')
    case 'rsa2048':
      return generateKeyPairSync('rsa', { modulusLength: 2048 })
    case 'rsa1024':
      return generateKeyPairSync('rsa', { modulusLength: 1024 })
    case 'rsa2048-e3':
      return generateKeyPairSync('rsa', { modulusLength: 2048, publicExponent: 3 })
    case 'rsa-pss':
      return generateKeyPairSync('rsa-pss', { modulusLength: 2048 })
  }
}

export type Hash = 'sha1' | 'sha256' | 'sha384' | 'sha512'

const ecdsa: Record<Hash, string> = {
  sha1: '1.2.840.10045.4.1',
  sha256: oids.ecdsaWithSha256,
  sha384: oids.ecdsaWithSha384,
  sha512: oids.ecdsaWithSha512,
}
const rsa: Record<Hash, string> = {
  sha1: '1.2.840.113549.1.1.5',
  sha256: oids.sha256WithRsa,
  sha384: oids.sha384WithRsa,
  sha512: oids.sha512WithRsa,
}

export function signerOf({ kind, privateKey }: KeyPair, hash: Hash = 'sha256'): Signer {
  if (kind === 'ed25519')
    return { algorithm: sequence(oid(oids.ed25519)), sign: (bytes) => sign(null, bytes, privateKey) }
  if (kind === 'ed448')
    return { algorithm: sequence(oid('1.3.101.113')), sign: (bytes) => sign(null, bytes, privateKey) }
  const algorithm = kind.startsWith('rsa') ? sequence(oid(rsa[hash]), nullValue()) : sequence(oid(ecdsa[hash]))
  return { algorithm, sign: (bytes) => sign(hash, bytes, privateKey) }
}

/** What a certificate consists of. Leave a slot out for the sound value; `null` leaves the extension out. */
export interface Bent {
  readonly key?: KeyPair
  readonly subject?: Uint8Array
  /** DER of the issuer's name, instead of that of the signing authority. */
  readonly issuer?: Uint8Array
  readonly serial?: Uint8Array
  /** Epoch milliseconds. */
  readonly notBefore?: number
  readonly notAfter?: number
  readonly hash?: Hash
  readonly signer?: Signer
  readonly basicConstraints?: Uint8Array | null
  readonly keyUsage?: Uint8Array | null
  readonly extendedKeyUsage?: Uint8Array | null
  readonly subjectAltName?: Uint8Array | null
  readonly extra?: readonly Uint8Array[]
}

export interface Issued {
  /** DER. */
  readonly certificate: Uint8Array
  readonly key: KeyPair
}

export interface Authority extends Issued {
  /** DER of the Name. */
  readonly name: Uint8Array
  readonly pem: string
  /** The authorities between this one and the root, this one first; empty for a root. */
  readonly intermediates: readonly Uint8Array[]
}

const hour = 3_600_000
let counter = 0

export interface AuthorityShape extends Bent {
  /** Signs itself without. */
  readonly parent?: Authority
  readonly pathLength?: number
  /** A SPIFFE ID, or another URI. */
  readonly uri?: string
}

/** A root, or with `parent` an intermediate authority. */
export function makeAuthority(shape: AuthorityShape = {}): Authority {
  const key = shape.key ?? makeKey()
  const subject = shape.subject ?? name([oids.commonName, `test authority ${++counter}`])
  const certificate = issue(
    key,
    { key: shape.parent?.key ?? key, name: shape.parent?.name ?? subject },
    { ...shape, subject },
    [
      shape.basicConstraints === undefined ? authorityConstraints(shape.pathLength) : shape.basicConstraints,
      shape.keyUsage === undefined ? keyUsage(usage.keyCertSign | usage.cRLSign) : shape.keyUsage,
      shape.extendedKeyUsage ?? null,
      shape.subjectAltName === undefined && shape.uri !== undefined
        ? subjectAltName(false, { uri: shape.uri })
        : (shape.subjectAltName ?? null),
    ],
  )
  const intermediates = shape.parent === undefined ? [] : [certificate, ...shape.parent.intermediates]
  return { certificate, key, name: subject, pem: certificatePem(certificate), intermediates }
}

/** A sound X509-SVID unless bent. `chain` holds the leaf and the intermediates, without the root. */
export function makeSvid(
  authority: Authority,
  id: string,
  bent: Bent = {},
): Issued & { readonly chain: readonly Uint8Array[] } {
  const key = bent.key ?? makeKey()
  const certificate = issue(key, authority, bent, [
    bent.basicConstraints === undefined ? endEntityConstraints() : bent.basicConstraints,
    bent.keyUsage === undefined ? keyUsage(usage.digitalSignature) : bent.keyUsage,
    bent.extendedKeyUsage === undefined ? extendedKeyUsage(oids.serverAuth, oids.clientAuth) : bent.extendedKeyUsage,
    bent.subjectAltName === undefined ? subjectAltName(false, { uri: id }) : bent.subjectAltName,
  ])
  return { certificate, key, chain: [certificate, ...authority.intermediates] }
}

/** The same as a source gives it. */
export function ownSvid(authority: Authority, id: string): X509Svid {
  const { chain, key } = makeSvid(authority, id)
  return { id: parseSpiffeId(id), chain, key: key.privateKey, expiresAt: Date.now() + hour }
}

export function makeBundle(trustDomain: string, ...roots: readonly Authority[]): TrustBundle {
  return {
    trustDomain: parseTrustDomain(trustDomain),
    x509Authorities: roots.map(({ certificate }) => certificate),
  }
}

/** A certificate of a server for these host names and IP literals, in PEM with its chain. */
export function makeServerCertificate(
  authority: Authority,
  hosts: readonly string[],
  bent: Bent = {},
): { readonly cert: string; readonly key: string } {
  const names = hosts.map((host): AlternativeName => {
    const ip = ipBytes(host)
    return ip === undefined ? { dns: host } : { ip }
  })
  const { chain, key } = makeSvid(authority, '', {
    extendedKeyUsage: extendedKeyUsage(oids.serverAuth),
    subjectAltName: subjectAltName(false, ...names),
    ...bent,
  })
  return { cert: chain.map(certificatePem).join(''), key: keyPem(key) }
}

/** PKCS#8 in PEM. */
export function keyPem({ privateKey }: KeyPair): string {
  return privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()
}

function issue(
  key: KeyPair,
  by: Pick<Authority, 'key' | 'name'>,
  bent: Bent,
  extensions: readonly (Uint8Array | null)[],
): Uint8Array {
  return issueCertificate(
    {
      serial: bent.serial ?? randomSerial(),
      issuer: bent.issuer ?? by.name,
      subject: bent.subject ?? name([oids.commonName, 'test workload']),
      notBefore: bent.notBefore ?? Date.now() - hour,
      notAfter: bent.notAfter ?? Date.now() + hour,
      publicKey: key.publicKey,
      extensions: [
        ...extensions.filter((extension) => extension !== null),
        subjectKeyIdentifier(keyIdentifier(key.publicKey)),
        authorityKeyIdentifier(keyIdentifier(by.key.publicKey)),
        ...(bent.extra ?? []),
      ],
    },
    bent.signer ?? signerOf(by.key, bent.hash),
  )
}
