// An authority for development and tests: issues X509-SVIDs and JWT-SVIDs of one trust domain, from keys in memory.
import { generateKeyPairSync, type KeyObject, randomUUID } from 'node:crypto'
import { type JSONWebKeySet, type JWK, SignJWT } from 'jose'
import { Changes } from './changes.ts'
import type { TrustBundle, X509Svid } from './source.ts'
import { pathOf, type SpiffeId, type TrustDomain, trustDomainOf } from './spiffe-id.ts'
import {
  authorityConstraints,
  authorityKeyIdentifier,
  ecdsaSigner,
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
} from './x509/issue.ts'
import { issueRevocationList } from './x509/issue-list.ts'
import { oids } from './x509/oids.ts'

export interface EmbeddedAuthorityOptions {
  readonly trustDomain: TrustDomain
  /** Epoch milliseconds. */
  readonly now: () => number
  /** Milliseconds that an X509-SVID lives; an hour unless told, as with SPIRE. */
  readonly x509Lifetime?: number
  /** Milliseconds that a JWT-SVID lives; five minutes unless told, as with SPIRE. */
  readonly jwtLifetime?: number
}

/** What signs for a while: a root with its key, and a key for JWTs. */
interface Epoch {
  /** DER of the root certificate. */
  readonly root: Uint8Array
  readonly rootKeyIdentifier: Uint8Array
  readonly signer: Signer
  readonly jwtKey: KeyObject
  readonly jwtPublic: JWK
}

const hour = 3_600_000
const backDated = 5 * 60_000
/** More than clocks are ever put back by in one go, so that what is issued after that is valid at once. */
const rootBackDated = 7 * 24 * hour
const rootLifetime = 365 * 24 * hour
const authorityName = name([oids.organizationName, 'Postern development authority'])
const workloadName = name([oids.organizationName, 'Postern development'])

export class EmbeddedAuthority {
  readonly trustDomain: TrustDomain
  readonly #now: () => number
  readonly #x509Lifetime: number
  readonly #jwtLifetime: number
  readonly #changes = new Changes()
  /** The newest first; the older ones still verify what they signed. */
  #epochs: readonly [Epoch, ...Epoch[]]
  #revoked: readonly Uint8Array[] = []
  #bundle: TrustBundle

  constructor({ trustDomain, now, x509Lifetime = hour, jwtLifetime = hour / 12 }: EmbeddedAuthorityOptions) {
    this.trustDomain = trustDomain
    this.#now = now
    this.#x509Lifetime = x509Lifetime
    this.#jwtLifetime = jwtLifetime
    this.#epochs = [beginEpoch(trustDomain, now())]
    this.#bundle = this.#makeBundle()
  }

  /** New keys sign from now on; the old ones stay in the bundle and among the JWT keys. */
  rotate(): void {
    this.#epochs = [beginEpoch(this.trustDomain, this.#now()), ...this.#epochs]
    this.#announceBundle()
  }

  /**
   * Takes an X509-SVID back: it stands in the revocation lists of the bundle from now on.
   * @param serial in hexadecimal
   */
  revoke(serial: string): void {
    this.#revoked = [...this.#revoked, Buffer.from(serial.padStart(serial.length + (serial.length % 2), '0'), 'hex')]
    this.#announceBundle()
  }

  /** Yields after each rotation and each revocation. */
  updates(signal: AbortSignal): AsyncIterable<void> {
    return this.#changes.since(signal)
  }

  bundle(): TrustBundle {
    return this.#bundle
  }

  /** The public keys that verify JWT-SVIDs, as a service with a JWKS address shows them. */
  jwks(): JSONWebKeySet {
    return { keys: this.#epochs.map(({ jwtPublic }) => jwtPublic) }
  }

  /**
   * A fresh X509-SVID with a key of its own.
   * @param id a workload of this trust domain
   */
  issue(id: SpiffeId): X509Svid {
    this.#mustOwn(id)
    const [{ rootKeyIdentifier, signer }] = this.#epochs
    const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    const spki = publicKey.export({ type: 'spki', format: 'der' })
    const now = this.#now()
    const expiresAt = wholeSeconds(now + this.#x509Lifetime)
    const leaf = issueCertificate(
      {
        serial: randomSerial(),
        issuer: authorityName,
        subject: workloadName,
        notBefore: now - backDated,
        notAfter: expiresAt,
        publicKey: spki,
        extensions: [
          endEntityConstraints(),
          keyUsage(usage.digitalSignature),
          extendedKeyUsage(oids.serverAuth, oids.clientAuth),
          subjectKeyIdentifier(keyIdentifier(spki)),
          authorityKeyIdentifier(rootKeyIdentifier),
          subjectAltName(false, { uri: id }),
        ],
      },
      signer,
    )
    return { id, chain: [leaf], key: privateKey, expiresAt }
  }

  /**
   * A fresh JWT-SVID (JWT-SVID §3), signed with ES256.
   * @param id a workload of this trust domain
   */
  async issueJwt(id: SpiffeId, audience: readonly string[]): Promise<string> {
    this.#mustOwn(id)
    const [{ jwtKey, jwtPublic }] = this.#epochs
    const issuedAt = Math.floor(this.#now() / 1000)
    return await new SignJWT()
      .setProtectedHeader({ alg: 'ES256', kid: jwtPublic.kid ?? '', typ: 'JWT' })
      .setSubject(id)
      .setAudience([...audience])
      .setIssuedAt(issuedAt)
      .setExpirationTime(issuedAt + this.#jwtLifetime / 1000)
      .sign(jwtKey)
  }

  #announceBundle(): void {
    this.#bundle = this.#makeBundle()
    this.#changes.announce()
  }

  #makeBundle(): TrustBundle {
    const thisUpdate = this.#now()
    const fields = {
      issuer: authorityName,
      thisUpdate,
      nextUpdate: thisUpdate + rootLifetime,
      serials: this.#revoked,
    }
    return {
      trustDomain: this.trustDomain,
      x509Authorities: this.#epochs.map(({ root }) => root),
      jwtAuthorities: this.#epochs.map(({ jwtPublic }) => ({ ...jwtPublic, use: 'jwt-svid' })),
      // Any of the keys may have signed what was revoked, and a list counts for certificates of its own signer only.
      ...(this.#revoked.length === 0
        ? {}
        : { revocationLists: this.#epochs.map(({ signer }) => issueRevocationList(fields, signer)) }),
    }
  }

  #mustOwn(id: SpiffeId): void {
    if (trustDomainOf(id) !== this.trustDomain || pathOf(id) === '')
      throw new Error(`this authority issues to workloads of ${this.trustDomain} only`)
  }
}

function beginEpoch(trustDomain: TrustDomain, now: number): Epoch {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const spki = publicKey.export({ type: 'spki', format: 'der' })
  const rootKeyIdentifier = keyIdentifier(spki)
  const signer = ecdsaSigner(privateKey)
  const root = issueCertificate(
    {
      serial: randomSerial(),
      issuer: authorityName,
      subject: authorityName,
      notBefore: now - rootBackDated,
      notAfter: now + rootLifetime,
      publicKey: spki,
      extensions: [
        authorityConstraints(),
        keyUsage(usage.keyCertSign | usage.cRLSign),
        subjectKeyIdentifier(rootKeyIdentifier),
        subjectAltName(false, { uri: `spiffe://${trustDomain}` }),
      ],
    },
    signer,
  )
  const jwt = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const { kty = 'EC', crv = 'P-256', x = '', y = '' } = jwt.publicKey.export({ format: 'jwk' })
  const jwtPublic: JWK = { kty, crv, x, y, kid: randomUUID(), alg: 'ES256', use: 'sig' }
  return { root, rootKeyIdentifier, signer, jwtKey: jwt.privateKey, jwtPublic }
}

function wholeSeconds(at: number): number {
  return Math.floor(at / 1000) * 1000
}
