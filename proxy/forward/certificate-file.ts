// A client certificate from files that something else keeps current: read again while it is in use, the last good one kept.
import { createPrivateKey, X509Certificate } from 'node:crypto'
import type { SecretReference } from '../config/scalars.ts'
import { Refusal } from '../refusal.ts'

/** What is shown to a server that asks for a certificate. Another object whenever it is another certificate. */
export interface ClientCertificate {
  /** PEM, leaf first. */
  readonly chain: string
  /** PEM. */
  readonly key: string
  /** Epoch milliseconds. */
  readonly expiresAt: number
}

export interface CertificateFiles {
  /** Path of the PEM, leaf first. */
  readonly certificate: string
  readonly key: SecretReference
}

export interface CertificateReaders {
  /** Both reject with an error that names what cannot be read, and holds nothing of it. */
  readonly file: (path: string) => Promise<string>
  readonly reference: (reference: SecretReference) => Promise<string>
  /** Epoch milliseconds. */
  readonly now: () => number
}

/** How soon a changed file counts. Milliseconds. */
export const lookAgainAfter = 1_000

export class CertificateFile {
  readonly #files: CertificateFiles
  readonly #readers: CertificateReaders
  #held: ClientCertificate | undefined
  #lookedAt = Number.NEGATIVE_INFINITY
  #problem = 'it has not been read yet'
  #reading: Promise<void> | undefined

  constructor(files: CertificateFiles, readers: CertificateReaders) {
    this.#files = files
    this.#readers = readers
  }

  /** @throws Refusal `client_certificate_unavailable` */
  current(): ClientCertificate | Promise<ClientCertificate> {
    const since = this.#readers.now() - this.#lookedAt
    return since >= 0 && since < lookAgainAfter ? this.#good() : this.#look().then(() => this.#good())
  }

  #good(): ClientCertificate {
    const held = this.#held
    if (held === undefined) throw unavailable(`${this.#files.certificate}: ${this.#problem}`)
    if (this.#readers.now() > held.expiresAt) throw unavailable(`${this.#files.certificate}: it has expired`)
    return held
  }

  /** One look at a time, whoever waits for it. */
  #look(): Promise<void> {
    this.#reading ??= this.#read().finally(() => {
      this.#reading = undefined
    })
    return this.#reading
  }

  async #read(): Promise<void> {
    const { file, reference, now } = this.#readers
    this.#lookedAt = now()
    try {
      const [chain, key] = await Promise.all([file(this.#files.certificate), reference(this.#files.key)])
      if (chain === this.#held?.chain && key === this.#held.key) return
      this.#held = { chain, key, expiresAt: expiryOfPair(chain, key) }
    } catch (error) {
      // Two files are not replaced at once, so a pair that does not fit is waited out with the one before.
      this.#problem = error instanceof Error ? error.message : String(error)
    }
  }
}

/** @throws Error that says which half is wrong, without a word of what is in it */
function expiryOfPair(chain: string, key: string): number {
  const leaf = attempt('the certificate cannot be parsed', () => new X509Certificate(chain))
  const own = attempt('the private key cannot be parsed', () => createPrivateKey(key))
  if (!leaf.checkPrivateKey(own)) throw new Error('the private key is not that of the certificate')
  return leaf.validToDate.getTime()
}

function attempt<T>(message: string, act: () => T): T {
  try {
    return act()
  } catch {
    throw new Error(message)
  }
}

export function unavailable(detail: string, cause?: unknown): Refusal {
  return new Refusal('client_certificate_unavailable', { detail, ...(cause === undefined ? {} : { cause }) })
}
