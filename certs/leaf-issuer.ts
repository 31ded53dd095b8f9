// Certificates for the hosts that agents call, made at the moment of need and kept for a while.
import { generateKeyPairSync } from 'node:crypto'
import { createSecureContext, type SecureContext } from 'node:tls'
import { certificatePem } from './pem.ts'
import type { PodAuthority } from './pod-authority.ts'
import { ipBytes } from './x509/ip-bytes.ts'
import { endEntityConstraints, extendedKeyUsage, keyUsage, name, subjectAltName, usage } from './x509/issue.ts'
import { oids } from './x509/oids.ts'

export interface LeafIssuerOptions {
  /** Epoch milliseconds. */
  readonly now: () => number
  /** Milliseconds that a leaf lives; a day unless told. */
  readonly lifetime?: number
  /** How many hosts are kept; 256 unless told. The one unused for longest goes first. */
  readonly capacity?: number
}

interface Kept {
  readonly context: SecureContext
  /** Epoch milliseconds. */
  readonly madeAt: number
  /** Epoch milliseconds from which it is made anew. */
  readonly renewAt: number
}

/** One label or more; what the canonical form of a host allows. No wildcard: a leaf is for one host. */
const dnsName = /^(?=.{1,253}$)[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?)*$/

export class LeafIssuer {
  readonly #authority: PodAuthority
  readonly #now: () => number
  readonly #lifetime: number
  readonly #capacity: number
  /** In the order of use, the latest last. */
  readonly #kept = new Map<string, Kept>()
  // One key for all leaves: they all stand for this one process, and making a key costs as much as signing.
  readonly #keyPem: string
  readonly #publicKey: Uint8Array

  constructor(authority: PodAuthority, { now, lifetime = 24 * 3_600_000, capacity = 256 }: LeafIssuerOptions) {
    this.#authority = authority
    this.#now = now
    this.#lifetime = lifetime
    this.#capacity = capacity
    const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    this.#publicKey = publicKey.export({ type: 'spki', format: 'der' })
    this.#keyPem = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()
  }

  /** Whether a leaf for this host is kept; it may have to be made anew all the same. */
  has(host: string): boolean {
    return this.#kept.has(host)
  }

  /**
   * The TLS context with a leaf for exactly this host, TLS 1.2 at least. Synchronous: two callers at once cannot mint twice.
   * @param host in canonical form: lower-case A-labels without trailing dot, or an IP literal without brackets
   * @throws TypeError when it is neither
   */
  contextFor(host: string): SecureContext {
    const kept = this.#kept.get(host)
    if (kept !== undefined) {
      this.#kept.delete(host)
      const now = this.#now()
      // When the clock has been put back, it is not valid yet.
      if (now < kept.renewAt && now >= kept.madeAt) {
        this.#kept.set(host, kept)
        return kept.context
      }
    }
    const minted = this.#mint(host)
    this.#kept.set(host, minted)
    if (this.#kept.size > this.#capacity) {
      for (const oldest of this.#kept.keys()) {
        this.#kept.delete(oldest)
        break
      }
    }
    return minted.context
  }

  #mint(host: string): Kept {
    const ip = ipBytes(host)
    if (ip === undefined && !dnsName.test(host)) throw new TypeError('a leaf is made for a canonical host name only')
    const { certificate, expiresAt } = this.#authority.issue({
      // A common name ends at 64 characters (RFC 5280 appendix A); nothing reads it any more, people excepted. An address
      // there would be held against the constraints of names by OpenSSL.
      subject: name([oids.commonName, ip === undefined && host.length <= 64 ? host : 'Postern leaf']),
      publicKey: this.#publicKey,
      extensions: [
        endEntityConstraints(),
        keyUsage(usage.digitalSignature),
        extendedKeyUsage(oids.serverAuth),
        subjectAltName(false, ip === undefined ? { dns: host } : { ip }),
      ],
      lifetime: this.#lifetime,
    })
    const now = this.#now()
    return {
      context: createSecureContext({ key: this.#keyPem, cert: certificatePem(certificate), minVersion: 'TLSv1.2' }),
      madeAt: now,
      renewAt: now + (expiresAt - now) / 2,
    }
  }
}
