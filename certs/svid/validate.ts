// Validates an X509-SVID against the bundle of its own trust domain: the steps of X509-SVID §5, in order, closed.
// A TLS library's acceptance is no substitute: it takes roots of all domains for one heap, and knows no SPIFFE ID.
import { hash } from 'node:crypto'
import type { TrustBundle } from '../source.ts'
import { type SpiffeId, type TrustDomain, trustDomainOf } from '../spiffe-id.ts'
import { type Certificate, parseCertificate } from '../x509/certificate.ts'
import { DerError } from '../x509/der-reader.ts'
import { checkSecondReading } from '../x509/second-reading.ts'
import { SvidError } from './error.ts'
import { checkLeaf } from './leaf.ts'
import { findPath, keyOf, type Path } from './path.ts'
import { isRevoked, parseRevocationList, type RevocationList } from './revocation.ts'

export type BundleLookup = (trustDomain: TrustDomain) => TrustBundle | undefined

export interface SvidQuestion {
  /** DER, leaf first. */
  readonly chain: readonly Uint8Array[]
  readonly bundleFor: BundleLookup
  /** Epoch milliseconds. */
  readonly now: number
}

export interface ValidSvid {
  readonly id: SpiffeId
  /** Of the leaf: lower-case hex without leading zeros. */
  readonly serial: string
  /** Epoch milliseconds at which the first certificate of the path expires. */
  readonly expiresAt: number
}

/** More than the deepest hierarchy in use; each further one is work for an attacker's sake. */
export const maxChain = 10

/** @throws SvidError */
export function validateX509Svid({ chain, bundleFor, now }: SvidQuestion): ValidSvid {
  try {
    // 1. The certificates as the peer presented them.
    const [leaf, ...presented] = parseChain(chain)
    // 2. and 3. One identity, and a certificate that is made for authentication.
    const id = checkLeaf(leaf)
    // 4. The bundle of this identity's domain alone: a root of another domain proves nothing about this one.
    const bundle = bundleFor(trustDomainOf(id))
    if (bundle === undefined) throw new SvidError('svid_untrusted_domain', 'there is no bundle of this trust domain')
    // 5. and 6. A path to one of its roots, along which everything holds.
    const trusted = trustOf(bundle)
    const path = findPath(leaf, presented.map(trusted.intermediates.same), trusted.roots, now)
    // The TLS stack sees the same in each of them. Only now: what no authority has signed is not worth the time.
    path.forEach(checkSecondReading)
    trusted.intermediates.remember(path)
    // 7. Nothing on the path revoked.
    checkRevocation(path, trusted.revocationLists)
    return { id, serial: leaf.serial, expiresAt: Math.min(...path.map(({ notAfter }) => notAfter)) }
  } catch (error) {
    if (error instanceof DerError) throw new SvidError('svid_unparsable', error.message, error)
    throw error
  }
}

function parseChain(chain: readonly Uint8Array[]): readonly [Certificate, ...Certificate[]] {
  const [leaf, ...presented] = chain
  if (leaf === undefined) throw new SvidError('svid_missing', 'no certificate was presented')
  if (chain.length > maxChain) throw new SvidError('svid_chain_too_long', `${chain.length} certificates`)
  return [parseCertificate(leaf), ...presented.map(parseCertificate)]
}

/** How many intermediates of one bundle are remembered; the oldest goes. */
const maxIntermediates = 64

/**
 * The intermediates that led to a root of one bundle. Many leaves come with the same, and to read its key and verify its
 * signature is most of the work; only an authority of the bundle can make us remember another. Everything that depends on
 * the time, the leaf or the path is checked again each time.
 */
class Intermediates {
  /** By SHA-256 of the DER. */
  readonly #known = new Map<string, Certificate>()

  /** The object that was remembered for the same bytes, else the certificate itself. */
  readonly same = (certificate: Certificate): Certificate => this.#known.get(digest(certificate)) ?? certificate

  remember(path: Path): void {
    for (const certificate of path.slice(1, -1)) this.#known.set(digest(certificate), certificate)
    for (const oldest of this.#known.keys()) {
      if (this.#known.size <= maxIntermediates) return
      this.#known.delete(oldest)
    }
  }
}

const digest = ({ der }: Certificate): string => hash('sha256', der, 'base64')

interface Trust {
  readonly roots: readonly Certificate[]
  readonly intermediates: Intermediates
  /** Undefined when one of them cannot be read. */
  readonly revocationLists: readonly RevocationList[] | undefined
}

/** Bundles are replaced, never changed, so what was read of one serves as long as it does. */
const read = new WeakMap<TrustBundle, Trust>()

function trustOf(bundle: TrustBundle): Trust {
  const known = read.get(bundle)
  if (known !== undefined) return known
  const trust: Trust = {
    // A root that cannot be read is no root; the others keep their worth.
    roots: bundle.x509Authorities.flatMap((der) => attempt(() => readRoot(der)) ?? []),
    intermediates: new Intermediates(),
    revocationLists: attempt(() => (bundle.revocationLists ?? []).map(parseRevocationList)),
  }
  read.set(bundle, trust)
  return trust
}

function readRoot(der: Uint8Array): Certificate {
  const root = parseCertificate(der)
  checkSecondReading(root)
  return root
}

function attempt<T>(act: () => T): T | undefined {
  try {
    return act()
  } catch (error) {
    if (error instanceof DerError) return undefined
    throw error
  }
}

function checkRevocation(path: Path, lists: readonly RevocationList[] | undefined): void {
  if (lists === undefined) throw new SvidError('svid_revoked', 'a revocation list of the trust domain cannot be read')
  if (lists.length === 0) return
  for (const [at, issuer] of path.entries()) {
    const certificate = path[at - 1]
    if (certificate !== undefined && isRevoked(certificate, keyOf(issuer), lists))
      throw new SvidError('svid_revoked', 'a certificate of the path is on a revocation list')
  }
}
