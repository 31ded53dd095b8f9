// The path from a leaf to a root of one bundle (RFC 5280 §6.1), and what each issuer on it must be.
import { parseSpiffeId, pathOf } from '../spiffe-id.ts'
import { type Certificate, sameBytes } from '../x509/certificate.ts'
import {
  alternativeNamesOf,
  ascii,
  basicConstraintsOf,
  keyUsageOf,
  nameConstraintsOf,
  nameKinds,
} from '../x509/extensions.ts'
import { acceptedKey, checkSignature, type PublicKey } from '../x509/keys.ts'
import { oids } from '../x509/oids.ts'
import { SvidError } from './error.ts'
import { checkNames } from './name-constraints.ts'

/** Leaf first, root last. */
export type Path = readonly [leaf: Certificate, ...issuers: Certificate[]]

/** Bounds the work that a chain of look-alike authorities can cause. A sound chain needs one check for each issuer. */
export const maxSignatureChecks = 32

/** The extensions that are looked at in one of the steps. */
const understood: ReadonlySet<string> = new Set([
  oids.basicConstraints,
  oids.keyUsage,
  oids.extendedKeyUsage,
  oids.subjectAltName,
  oids.nameConstraints,
])

/**
 * Finds a path along which everything holds. The presented certificates may stand in any order and hold others.
 * @param now epoch milliseconds
 * @throws SvidError with the fault of the candidate that came nearest, or DerError
 */
export function findPath(
  leaf: Certificate,
  presented: readonly Certificate[],
  roots: readonly Certificate[],
  now: number,
): Path {
  checkValidity(leaf, now)
  keyOf(leaf)
  checkCriticalExtensions(leaf)
  const search = new PathSearch(presented, roots, now)
  const path = search.extend([leaf])
  if (path === undefined) throw search.fault
  return path
}

/** @throws SvidError when the key is not accepted */
export function keyOf(certificate: Certificate): PublicKey {
  const known = keys.get(certificate)
  if (known !== undefined) return known
  const key = acceptedKey(certificate.publicKey)
  if (key === undefined) throw new SvidError('svid_weak_key', 'a public key is of a kind or size that is not accepted')
  keys.set(certificate, key)
  return key
}

/** Roots serve many validations; reading their key costs as much as reading the rest. */
const keys = new WeakMap<Certificate, PublicKey>()

class PathSearch {
  readonly #presented: readonly Certificate[]
  readonly #roots: readonly Certificate[]
  readonly #now: number
  #checksLeft = maxSignatureChecks
  #fault: SvidError | undefined

  constructor(presented: readonly Certificate[], roots: readonly Certificate[], now: number) {
    this.#presented = presented
    this.#roots = roots
    this.#now = now
  }

  get fault(): SvidError {
    if (this.#fault !== undefined) return this.#fault
    // None at all is a statement of its owner: no SVID of the domain is valid (SPIFFE Trust Domain and Bundle §4.1.3).
    const detail =
      this.#roots.length === 0
        ? 'the bundle of this trust domain has no roots'
        : 'no certificate of the bundle or chain is the issuer'
    return new SvidError('svid_no_path_to_root', detail)
  }

  extend(path: Path): Path | undefined {
    const below = path[path.length - 1]
    if (below === undefined) return undefined
    for (const root of this.#roots) {
      if (this.#accepts(root, below, path)) return [...path, root]
    }
    for (const candidate of this.#presented) {
      if (path.includes(candidate) || !this.#accepts(candidate, below, path)) continue
      const found = this.extend([...path, candidate])
      if (found !== undefined) return found
    }
    return undefined
  }

  #accepts(issuer: Certificate, below: Certificate, path: Path): boolean {
    if (!sameBytes(issuer.subject, below.issuer)) return false
    try {
      if (this.#checksLeft-- <= 0) throw new SvidError('svid_no_path_to_root', 'the search for a path was too long')
      // The signature before the validity: an old root of the same name that did not sign has no say in the reason.
      checkSignatureBy(issuer, below)
      checkIssuer(issuer, path, this.#now)
      return true
    } catch (error) {
      if (!(error instanceof SvidError)) throw error
      // A candidate that did sign tells more than one that did not.
      if (this.#fault === undefined || this.#fault.code === 'svid_bad_signature') this.#fault = error
      return false
    }
  }
}

/** Whose signature a certificate was found to bear. It is a matter of their bytes alone, so it stays true as long as both are there. */
const signers = new WeakMap<Certificate, Certificate>()

function checkSignatureBy(issuer: Certificate, below: Certificate): void {
  if (signers.get(below) === issuer) return
  const verdict = checkSignature(below, keyOf(issuer))
  if (verdict === 'unaccepted')
    throw new SvidError('svid_weak_key', `the signature algorithm ${below.signatureAlgorithm.oid} is not accepted`)
  if (verdict === 'invalid') throw new SvidError('svid_bad_signature', 'a signature does not verify')
  signers.set(below, issuer)
}

/** @param path from the leaf to the certificate that this issuer signed */
function checkIssuer(issuer: Certificate, path: Path, now: number): void {
  checkValidity(issuer, now)
  const { ca, pathLength } = basicConstraintsOf(issuer)
  if (!ca) throw new SvidError('svid_issuer_not_ca', 'an issuer is no authority')
  if (keyUsageOf(issuer)?.keyCertSign !== true)
    throw new SvidError('svid_issuer_not_ca', 'an issuer may not sign certificates: keyCertSign is not set')
  // The leaf does not count; self-issued ones do, other than in RFC 5280.
  if (pathLength !== undefined && path.length - 1 > pathLength)
    throw new SvidError('svid_path_length', `an issuer allows ${pathLength} authorities below it`)
  checkCriticalExtensions(issuer)
  const constraints = nameConstraintsOf(issuer)
  if (constraints !== undefined) for (const certificate of path) checkNames(certificate, constraints)
  checkSigningId(issuer)
}

function checkValidity({ notBefore, notAfter }: Certificate, now: number): void {
  if (now < notBefore) throw new SvidError('svid_not_yet_valid', `valid from ${new Date(notBefore).toISOString()}`)
  if (now > notAfter) throw new SvidError('svid_expired', `valid until ${new Date(notAfter).toISOString()}`)
}

function checkCriticalExtensions({ extensions }: Certificate): void {
  for (const [oid, { critical }] of extensions) {
    if (critical && !understood.has(oid))
      throw new SvidError('svid_critical_extension', `the critical extension ${oid} is not understood`)
  }
}

/** An authority may carry the ID of a trust domain, never that of a workload (X509-SVID §3.2). */
function checkSigningId(issuer: Certificate): void {
  const ids = alternativeNamesOf(issuer)
    .names.filter(({ tag }) => tag === nameKinds.uri)
    .map(ascii)
    .filter((uri) => /^spiffe:/i.test(uri))
  if (ids.length > 1) throw new SvidError('svid_signing_id', 'an issuer has more than one SPIFFE ID')
  for (const text of ids) {
    try {
      if (pathOf(parseSpiffeId(text)) === '') continue
    } catch (error) {
      throw new SvidError('svid_signing_id', 'the SPIFFE ID of an issuer is malformed', error)
    }
    throw new SvidError('svid_signing_id', 'the SPIFFE ID of an issuer has a path')
  }
}
