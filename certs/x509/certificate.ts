// An X.509 certificate taken apart (RFC 5280 §4.1). Nothing is verified here.

import { DerError, DerReader } from './der-reader.ts'
import { contextConstructed, contextPrimitive, tags } from './der-tags.ts'

export interface AlgorithmIdentifier {
  readonly oid: string
  /** DER of the parameters; undefined when there are none. */
  readonly parameters: Uint8Array | undefined
}

export interface Extension {
  readonly critical: boolean
  readonly value: Uint8Array
}

export interface Certificate {
  readonly der: Uint8Array
  /** The bytes that the issuer signed. */
  readonly signed: Uint8Array
  readonly signatureAlgorithm: AlgorithmIdentifier
  readonly signature: Uint8Array
  readonly version: 1 | 2 | 3
  /** Lower-case hex without leading zeros. */
  readonly serial: string
  /** DER of the Name. */
  readonly issuer: Uint8Array
  /** DER of the Name. */
  readonly subject: Uint8Array
  /** Epoch milliseconds. */
  readonly notBefore: number
  /** Epoch milliseconds; still valid in that second. */
  readonly notAfter: number
  /** DER of the SubjectPublicKeyInfo. */
  readonly publicKey: Uint8Array
  /** By object identifier. */
  readonly extensions: ReadonlyMap<string, Extension>
}

/** A certificate with long keys, names and constraints has 4 KB; what is far beyond is an attack on the parser. */
export const maxLength = 16 * 1024

/** @throws DerError */
export function parseCertificate(der: Uint8Array): Certificate {
  if (der.length > maxLength) throw new DerError('a certificate is too large')
  const outer = DerReader.only(der, tags.sequence)
  const signed = outer.next(tags.sequence)
  const signatureAlgorithm = outer.next(tags.sequence)
  const signature = outer.octets()
  outer.end()

  const fields = new DerReader(signed.content)
  const version = readVersion(fields)
  const serial = hex(fields.integer())
  // Signed and unsigned copy must agree (RFC 5280 §4.1.1.2).
  if (!sameBytes(fields.next(tags.sequence).whole, signatureAlgorithm.whole))
    throw new DerError('the two signature algorithms differ')
  const issuer = fields.next(tags.sequence).whole
  const validity = fields.sequence()
  const notBefore = validity.time()
  const notAfter = validity.time()
  validity.end()
  const subject = fields.next(tags.sequence).whole
  const publicKey = fields.next(tags.sequence).whole
  if (version > 1) {
    // issuerUniqueID and subjectUniqueID: obsolete, without meaning.
    fields.optional(contextPrimitive(1))
    fields.optional(contextPrimitive(2))
  }
  const extensions = version === 3 ? readExtensions(fields) : none
  fields.end()
  return {
    der,
    signed: signed.whole,
    signatureAlgorithm: readAlgorithm(new DerReader(signatureAlgorithm.content)),
    signature,
    version,
    serial,
    issuer,
    subject,
    notBefore,
    notAfter,
    publicKey,
    extensions,
  }
}

/** Reads the content of an AlgorithmIdentifier. */
export function readAlgorithm(fields: DerReader): AlgorithmIdentifier {
  const oid = fields.oid()
  const parameters = fields.done ? undefined : fields.any().whole
  fields.end()
  return { oid, parameters }
}

/** Reads Extensions where they stand: a list of distinct ones. */
export function readExtensionList(list: DerReader): ReadonlyMap<string, Extension> {
  const extensions = new Map<string, Extension>()
  while (!list.done) {
    const fields = list.sequence()
    const oid = fields.oid()
    const critical = fields.tag === tags.boolean && fields.boolean()
    const value = fields.octetString()
    fields.end()
    // Two of a kind would let two readers see two certificates (RFC 5280 §4.2).
    if (extensions.has(oid)) throw new DerError('an extension stands twice')
    extensions.set(oid, { critical, value })
  }
  return extensions
}

export function sameBytes(one: Uint8Array, other: Uint8Array): boolean {
  return one.length === other.length && Buffer.compare(one, other) === 0
}

/** Lower-case hex of the magnitude of a non-negative INTEGER. */
export function hex(integer: Uint8Array): string {
  return Buffer.from(integer.buffer, integer.byteOffset, integer.length)
    .toString('hex')
    .replace(/^0+(?=.)/, '')
}

const none: ReadonlyMap<string, Extension> = new Map()

function readVersion(fields: DerReader): 1 | 2 | 3 {
  const explicit = fields.optional(contextConstructed(0))
  if (explicit === undefined) return 1
  const inner = new DerReader(explicit.content)
  const value = inner.smallInteger()
  inner.end()
  if (value === 1) return 2
  if (value === 2) return 3
  throw new DerError('a certificate is of no known version')
}

function readExtensions(fields: DerReader): ReadonlyMap<string, Extension> {
  const explicit = fields.optional(contextConstructed(3))
  return explicit === undefined ? none : readExtensionList(DerReader.only(explicit.content, tags.sequence))
}
