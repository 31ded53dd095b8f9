// Attests by the X509-SVID that the peer proved possession of in TLS. The TLS listener lets any certificate in: this
// alone decides, on each connection, resumed or not.
import { SvidError } from '../../certs/svid/error.ts'
import type { BundleLookup, ValidSvid } from '../../certs/svid/validate.ts'
import { SvidValidator } from '../../certs/svid/validator.ts'
import type { Caller, Connection } from '../exchange.ts'
import { Refusal } from '../refusal.ts'
import type { Attestor } from './attestor.ts'

export interface X509SvidAttestorOptions {
  /** The bundle of one trust domain, as the source has it now. */
  readonly bundleFor: BundleLookup
  /** Counts the changes of bundles. */
  readonly epoch?: () => number
  /** Epoch milliseconds. */
  readonly now: () => number
}

export class X509SvidAttestor implements Attestor {
  readonly name = 'x509-svid'
  readonly #validator: SvidValidator
  readonly #epoch: () => number

  constructor(options: X509SvidAttestorOptions) {
    this.#validator = new SvidValidator(options)
    this.#epoch = options.epoch ?? (() => 0)
  }

  get epoch(): number {
    return this.#epoch()
  }

  async attest({ peerCertificates }: Connection): Promise<Caller | undefined> {
    if (peerCertificates.length === 0) return undefined
    const { id, serial, expiresAt } = this.#validate(peerCertificates)
    return { id, proofs: ['x509-svid'], serial, expiresAt }
  }

  #validate(chain: readonly Uint8Array[]): ValidSvid {
    try {
      return this.#validator.validate(chain)
    } catch (error) {
      if (error instanceof SvidError) throw new Refusal(error.code, { detail: error.detail, cause: error })
      throw error
    }
  }
}
