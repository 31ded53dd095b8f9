// A SPIFFE bundle document (Trust Domain and Bundle §4): what verifies the SVIDs of one trust domain, and how new it is.
import type { JWK } from 'jose'
import type { TrustBundle } from '../source.ts'
import type { TrustDomain } from '../spiffe-id.ts'
import { parseCertificate } from '../x509/certificate.ts'
import { DerError } from '../x509/der-reader.ts'
import { BundleError, type BundleFault } from './error.ts'
import type { JsonObject, JsonValue } from './json.ts'
import { keysOf, readObject, textOf } from './members.ts'
import { checkDistinct, checkPublic, readSigningKey } from './signing-keys.ts'

export interface BundleDocument {
  /** Its lists may be empty: then no SVID of that kind is valid. */
  readonly bundle: TrustBundle
  /** Public keys, each with its `kid`, that verify WIT-SVIDs. */
  readonly witAuthorities: readonly JWK[]
  /** Whether nothing in it verifies anything: all SVIDs of the trust domain are invalid (§4.1.3). */
  readonly isEmpty: boolean
  /** Grows with each change (§4.1.1). */
  readonly sequence: bigint | undefined
  /** Seconds after which to ask again (§4.1.2). */
  readonly refreshHint: number | undefined
}

/** Kinds of key whose certificates can be roots here; others are passed over, as everything unknown (§4.2.1). */
const certified: ReadonlySet<string> = new Set(['EC', 'RSA', 'OKP'])

/**
 * @param trustDomain whose bundle it is; the document does not say it (§4.1)
 * @throws BundleError
 */
export function readBundleDocument(trustDomain: TrustDomain, text: string): BundleDocument {
  return documentOf(trustDomain, readObject(text))
}

/** @throws BundleError */
export function documentOf(trustDomain: TrustDomain, document: JsonObject): BundleDocument {
  const keys = keysOf(document)
  keys.forEach(checkPublic)
  const of = (use: string) => keys.filter((key) => textOf(key, 'use') === use)
  const x509Authorities = of('x509-svid').flatMap((key) => readRoot(key) ?? [])
  const jwtAuthorities = of('jwt-svid').flatMap((key) => readSigningKey(key) ?? [])
  const witAuthorities = of('wit-svid').flatMap((key) => readSigningKey(key) ?? [])
  checkDistinct([...jwtAuthorities, ...witAuthorities])
  return {
    bundle: { trustDomain, x509Authorities, jwtAuthorities },
    witAuthorities,
    isEmpty: x509Authorities.length + jwtAuthorities.length + witAuthorities.length === 0,
    sequence: wholeNumber(document.get('spiffe_sequence'), 'bundle_bad_sequence', 'its sequence'),
    refreshHint: secondsOf(document.get('spiffe_refresh_hint')),
  }
}

/** The first certificate alone is the root; an element without one is passed over (X509-SVID §6.1). */
function readRoot(key: JsonObject): Uint8Array | undefined {
  const kty = textOf(key, 'kty')
  if (kty === undefined) throw new BundleError('bundle_bad_key', 'a key has no type')
  const chain = key.get('x5c')
  if (!certified.has(kty) || chain === undefined) return undefined
  if (!Array.isArray(chain)) throw wrongCertificate('the member x5c of a key is not a list')
  const [first]: readonly JsonValue[] = chain
  if (first === undefined) return undefined
  if (typeof first !== 'string') throw wrongCertificate('a certificate is not text')
  const der = Buffer.from(first, 'base64')
  if (der.toString('base64') !== first) throw wrongCertificate('a certificate is not base64')
  try {
    parseCertificate(der)
  } catch (error) {
    if (error instanceof DerError) throw wrongCertificate('a certificate cannot be read', error)
    throw error
  }
  return der
}

function wrongCertificate(detail: string, cause?: unknown): BundleError {
  return new BundleError('bundle_bad_certificate', detail, cause)
}

/** At least 64 bits are to be kept (§4.1.1), more than a number of JavaScript has. */
function wholeNumber(value: JsonValue | undefined, fault: BundleFault, what: string): bigint | undefined {
  if (value === undefined) return undefined
  if (typeof value !== 'bigint' && !(typeof value === 'number' && Number.isSafeInteger(value)))
    throw new BundleError(fault, `${what} is not a whole number`)
  if (value < 0) throw new BundleError(fault, `${what} is negative`)
  return BigInt(value)
}

function secondsOf(value: JsonValue | undefined): number | undefined {
  const seconds = wholeNumber(value, 'bundle_bad_refresh_hint', 'its refresh hint')
  return seconds === undefined ? undefined : Number(seconds)
}
