// The same certificate as OpenSSL reads it, which the TLS stack does. Where two readers see two certificates, there is none.
import { X509Certificate } from 'node:crypto'
import { type Certificate, sameBytes } from './certificate.ts'
import { DerError } from './der-reader.ts'
import {
  alternativeNamesOf,
  ascii,
  basicConstraintsOf,
  extendedKeyUsageOf,
  keyUsageOf,
  nameKinds,
} from './extensions.ts'

/**
 * Holds what decisions rest on against OpenSSL's reading: time, serial, key, URIs, purposes, and whether it is an authority.
 * OpenSSL also looks into names that nobody here does, and reads no certificate in which they are malformed.
 * Costs some 100 µs, once for each object.
 * @throws DerError where the two differ, or one of them reads nothing
 */
export function checkSecondReading(certificate: Certificate): void {
  if (agreed.has(certificate)) return
  const difference = differenceBetween(certificate, opened(certificate))
  if (difference !== undefined) throw new DerError(`OpenSSL reads ${difference} in a certificate`)
  agreed.add(certificate)
}

/** It is a matter of the bytes alone, so it stays true. */
const agreed = new WeakSet<Certificate>()

function opened({ der }: Certificate): X509Certificate {
  try {
    return new X509Certificate(der)
  } catch (cause) {
    // Its message tells of PEM, which Node tries besides.
    throw new DerError('OpenSSL cannot read a certificate', { cause })
  }
}

function differenceBetween(ours: Certificate, theirs: X509Certificate): string | undefined {
  if (!sameBytes(theirs.raw, ours.der)) return 'other bytes'
  if (theirs.validFromDate.getTime() !== ours.notBefore || theirs.validToDate.getTime() !== ours.notAfter)
    return 'another time'
  // It has a sign where it is negative, which it may not be (RFC 5280 §4.1.2.2).
  if (theirs.serialNumber.toLowerCase().replace(/^0+(?=.)/, '') !== ours.serial) return 'another serial'
  if (!hasKey(theirs, ours.publicKey)) return 'another key'
  if (urisOf(theirs).join() !== ourUrisOf(ours).join()) return 'other URIs'
  if (theirs.ca !== mayBeAuthority(ours)) return 'something else about whether it is an authority'
  if (theirs.keyUsage?.join() !== ourPurposesOf(ours)) return 'other purposes'
  return undefined
}

function hasKey(theirs: X509Certificate, spki: Uint8Array): boolean {
  try {
    return sameBytes(theirs.publicKey.export({ type: 'spki', format: 'der' }), spki)
  } catch {
    return false
  }
}

/** A comma in a name is written as an escape, so one that holds a list is still one. URIs with one do not agree with ours. */
function urisOf({ subjectAltName = '' }: X509Certificate): readonly string[] {
  return subjectAltName
    .split(', ')
    .filter((name) => name.startsWith('URI:'))
    .map((name) => name.slice('URI:'.length))
}

function ourUrisOf(certificate: Certificate): readonly string[] {
  return alternativeNamesOf(certificate)
    .names.filter(({ tag }) => tag === nameKinds.uri)
    .map(ascii)
}

/** As OpenSSL means it: a key usage that is there must allow it. */
function mayBeAuthority(certificate: Certificate): boolean {
  return basicConstraintsOf(certificate).ca && keyUsageOf(certificate)?.keyCertSign !== false
}

function ourPurposesOf(certificate: Certificate): string | undefined {
  const purposes = extendedKeyUsageOf(certificate)
  return purposes === undefined ? undefined : [...purposes].join()
}
