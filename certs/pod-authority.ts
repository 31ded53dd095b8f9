// The pod's own certification authority, for the leaves that the agents see. It lives and dies with the process, unless
// its key is kept for the next.
import { createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto'
import { hostConstraints } from './host-constraints.ts'
import { certificatePem } from './pem.ts'
import {
  authorityConstraints,
  authorityKeyIdentifier,
  ecdsaSigner,
  issueCertificate,
  keyIdentifier,
  keyUsage,
  name,
  randomSerial,
  type Signer,
  subjectKeyIdentifier,
  usage,
} from './x509/issue.ts'
import { oids } from './x509/oids.ts'

/** Clocks of containers and hosts differ by minutes at worst; a certificate is valid from that much earlier. */
const backDated = 5 * 60_000

/** The trust files are written once and must outlive every agent that was started with them, so this is long; the key is gone when the process is. */
const defaultLifetime = 365 * 24 * 3_600_000

export interface LeafFields {
  /** DER of the Name. */
  readonly subject: Uint8Array
  /** DER of the SubjectPublicKeyInfo. */
  readonly publicKey: Uint8Array
  /** DER of each Extension, without the key identifiers. */
  readonly extensions: readonly Uint8Array[]
  /** Milliseconds from now; cut to the life of the authority. */
  readonly lifetime: number
}

export interface IssuedLeaf {
  /** DER. */
  readonly certificate: Uint8Array
  /** Epoch milliseconds. */
  readonly expiresAt: number
}

export interface PodAuthorityOptions {
  /** Epoch milliseconds. */
  readonly now: () => number
  /** Milliseconds; a year unless told. */
  readonly lifetime?: number
  /** A P-256 key that was kept. Agents that trust an earlier certificate of it trust this authority too. */
  readonly key?: KeyObject
  /** The only hosts that it can certify: exact names, `*.suffix`, IP addresses. Any unless told. */
  readonly hosts?: readonly string[]
}

export class PodAuthority {
  /** What agents must trust. */
  readonly certificatePem: string
  /** DER. */
  readonly certificate: Uint8Array
  /** Epoch milliseconds. */
  readonly expiresAt: number
  readonly #now: () => number
  readonly #name: Uint8Array
  readonly #keyIdentifier: Uint8Array
  readonly #signer: Signer

  /** Makes a fresh P-256 key, which never leaves this object, or takes the one that was kept, and signs itself. */
  constructor({ now, lifetime = defaultLifetime, key = freshKey(), hosts }: PodAuthorityOptions) {
    const subjectPublicKey = createPublicKey(key).export({ type: 'spki', format: 'der' })
    this.#now = now
    this.#signer = ecdsaSigner(key)
    this.#keyIdentifier = keyIdentifier(subjectPublicKey)
    // A name of its own, so that the authorities of several pods can stand in one trust store; the same for the same key,
    // so that what an earlier certificate of it is trusted for, this one is.
    const mark = Buffer.from(this.#keyIdentifier).toString('hex', 0, 4)
    this.#name = name([oids.organizationName, 'Postern'], [oids.commonName, `Postern pod authority ${mark}`])
    this.expiresAt = wholeSeconds(now() + lifetime)
    this.certificate = issueCertificate(
      {
        serial: randomSerial(),
        issuer: this.#name,
        subject: this.#name,
        notBefore: now() - backDated,
        notAfter: this.expiresAt,
        publicKey: subjectPublicKey,
        extensions: [
          authorityConstraints(0),
          ...(hosts === undefined ? [] : [hostConstraints(hosts)]),
          keyUsage(usage.keyCertSign | usage.cRLSign),
          subjectKeyIdentifier(this.#keyIdentifier),
        ],
      },
      this.#signer,
    )
    this.certificatePem = certificatePem(this.certificate)
  }

  issue({ subject, publicKey, extensions, lifetime }: LeafFields): IssuedLeaf {
    const now = this.#now()
    const expiresAt = wholeSeconds(Math.min(now + lifetime, this.expiresAt))
    const certificate = issueCertificate(
      {
        serial: randomSerial(),
        issuer: this.#name,
        subject,
        notBefore: now - backDated,
        notAfter: expiresAt,
        publicKey,
        // Python's strict mode and others ask for both identifiers (RFC 5280 §4.2.1.1, §4.2.1.2).
        extensions: [
          ...extensions,
          subjectKeyIdentifier(keyIdentifier(publicKey)),
          authorityKeyIdentifier(this.#keyIdentifier),
        ],
      },
      this.#signer,
    )
    return { certificate, expiresAt }
  }
}

function freshKey(): KeyObject {
  return generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey
}

function wholeSeconds(at: number): number {
  return Math.floor(at / 1000) * 1000
}
