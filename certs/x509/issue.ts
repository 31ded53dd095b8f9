// Makes certificates: the fields, the extensions and the signature (RFC 5280 §4). Used by the authorities of this house.
import { createHash, type KeyObject, randomBytes, sign } from 'node:crypto'
import { contextConstructed, contextPrimitive } from './der-tags.ts'
import {
  bitString,
  boolean,
  element,
  integer,
  octetString,
  oid,
  sequence,
  set,
  time,
  utf8String,
} from './der-writer.ts'
import { oids } from './oids.ts'

export interface CertificateFields {
  /** Big-endian magnitude. */
  readonly serial: Uint8Array
  /** DER of the Name. */
  readonly issuer: Uint8Array
  /** DER of the Name. */
  readonly subject: Uint8Array
  /** Epoch milliseconds. */
  readonly notBefore: number
  /** Epoch milliseconds. */
  readonly notAfter: number
  /** DER of the SubjectPublicKeyInfo. */
  readonly publicKey: Uint8Array
  /** DER of each Extension. */
  readonly extensions: readonly Uint8Array[]
}

export interface Signer {
  /** DER of the AlgorithmIdentifier. */
  readonly algorithm: Uint8Array
  sign(bytes: Uint8Array): Uint8Array
}

/** @returns DER of the certificate */
export function issueCertificate(fields: CertificateFields, signer: Signer): Uint8Array {
  const signed = sequence(
    version3,
    integer(fields.serial),
    signer.algorithm,
    fields.issuer,
    sequence(time(fields.notBefore), time(fields.notAfter)),
    fields.subject,
    fields.publicKey,
    element(contextConstructed(3), sequence(...fields.extensions)),
  )
  return sequence(signed, signer.algorithm, bitString(signer.sign(signed)))
}

/** Signs with ECDSA and SHA-256. */
export function ecdsaSigner(key: KeyObject): Signer {
  return { algorithm: ecdsaWithSha256, sign: (bytes) => sign('sha256', bytes, key) }
}

/** 127 random bits: positive, never zero, unique without a counter (RFC 5280 §4.1.2.2). */
export function randomSerial(): Uint8Array {
  const serial = randomBytes(16)
  serial[0] = ((serial[0] ?? 0) & 0x7f) | 0x40
  return serial
}

/** DER of a Name with one attribute an RDN, in the order given. */
export function name(...attributes: readonly (readonly [type: string, value: string])[]): Uint8Array {
  return sequence(...attributes.map(([type, value]) => set(sequence(oid(type), utf8String(value)))))
}

/** Identifies a key: the leftmost 160 bits of SHA-256 over its SubjectPublicKeyInfo (RFC 7093 §2, method 4). */
export function keyIdentifier(publicKey: Uint8Array): Uint8Array {
  return createHash('sha256').update(publicKey).digest().subarray(0, 20)
}

export function extension(type: string, critical: boolean, value: Uint8Array): Uint8Array {
  return critical ? sequence(oid(type), boolean(true), octetString(value)) : sequence(oid(type), octetString(value))
}

/** @param pathLength how many further authorities may follow; without: any number */
export function authorityConstraints(pathLength?: number): Uint8Array {
  const value = pathLength === undefined ? sequence(boolean(true)) : sequence(boolean(true), integer(pathLength))
  return extension(oids.basicConstraints, true, value)
}

/** Says that the certificate is no authority's (cA=false is the default, so the sequence is empty). */
export function endEntityConstraints(): Uint8Array {
  return extension(oids.basicConstraints, true, sequence())
}

/** Bits of KeyUsage (RFC 5280 §4.2.1.3) by their place in the first octet. */
export const usage = { digitalSignature: 0x80, keyCertSign: 0x04, cRLSign: 0x02 } as const

/** @param bits of `usage`, or-ed */
export function keyUsage(bits: number): Uint8Array {
  return extension(oids.keyUsage, true, bitString(Uint8Array.of(bits), trailingZeros(bits)))
}

export function extendedKeyUsage(...purposes: readonly string[]): Uint8Array {
  return extension(oids.extendedKeyUsage, false, sequence(...purposes.map(oid)))
}

export type AlternativeName =
  | { readonly dns: string }
  | { readonly uri: string }
  /** 4 or 16 bytes. */
  | { readonly ip: Uint8Array }

export function subjectAltName(critical: boolean, ...names: readonly AlternativeName[]): Uint8Array {
  return extension(oids.subjectAltName, critical, sequence(...names.map(generalName)))
}

/** Critical, as RFC 5280 §4.2.1.10 asks. An address has its mask behind it: 8 or 32 bytes. */
export function nameConstraints(
  permitted: readonly AlternativeName[],
  excluded: readonly AlternativeName[],
): Uint8Array {
  const subtrees = (number: number, names: readonly AlternativeName[]) =>
    names.length === 0 ? [] : [element(contextConstructed(number), ...names.map((each) => sequence(generalName(each))))]
  return extension(oids.nameConstraints, true, sequence(...subtrees(0, permitted), ...subtrees(1, excluded)))
}

export function subjectKeyIdentifier(identifier: Uint8Array): Uint8Array {
  return extension(oids.subjectKeyIdentifier, false, octetString(identifier))
}

export function authorityKeyIdentifier(identifier: Uint8Array): Uint8Array {
  return extension(oids.authorityKeyIdentifier, false, sequence(element(contextPrimitive(0), identifier)))
}

function generalName(given: AlternativeName): Uint8Array {
  if ('dns' in given) return element(contextPrimitive(2), Buffer.from(given.dns, 'latin1'))
  if ('uri' in given) return element(contextPrimitive(6), Buffer.from(given.uri, 'latin1'))
  return element(contextPrimitive(7), given.ip)
}

/** DER cuts the zero bits at the end of a named bit list (X.690 §11.2.2). */
function trailingZeros(bits: number): number {
  return bits === 0 ? 0 : 31 - Math.clz32(bits & -bits)
}

const version3 = element(contextConstructed(0), integer(2))
const ecdsaWithSha256 = sequence(oid(oids.ecdsaWithSha256))
