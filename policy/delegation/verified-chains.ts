// Chains that were found good, so that the next request with the same one costs a hash.
import { hash } from 'node:crypto'
import type { VerifiedChain } from './chain.ts'
import type { Roots } from './keys.ts'
import { verifyChain } from './verify.ts'

const mostChains = 4096
/** Bytes. A longer one, which no header carries, is verified each time, so that what is kept stays bounded. */
const longestKept = 16 * 1024

/** Answers of steps 1 to 7, each kept until its first expiry. Steps 8 to 10 are asked on each request. */
export class VerifiedChains {
  readonly #roots: Roots
  readonly #chains = new Map<string, VerifiedChain>()
  #epoch: number | undefined

  constructor(roots: Roots) {
    this.#roots = roots
  }

  /**
   * @param now epoch milliseconds
   * @param epoch changes whenever roots or revocations do; what was kept before is then forgotten
   * @throws ChainError of steps 1 to 7; a refusal is not kept
   */
  verify(text: string, now: number, epoch: number): VerifiedChain {
    if (epoch !== this.#epoch) {
      this.#chains.clear()
      this.#epoch = epoch
    }
    const digest = hash('sha256', text, 'base64url')
    const known = this.#chains.get(digest)
    if (known !== undefined && isCurrent(known, now)) return known
    this.#chains.delete(digest)
    const chain = verifyChain(text, this.#roots, now)
    if (text.length > longestKept) return chain
    // The oldest goes: a map keeps the order of insertion.
    const [oldest] = this.#chains.size < mostChains ? [] : this.#chains.keys()
    if (oldest !== undefined) this.#chains.delete(oldest)
    this.#chains.set(digest, chain)
    return chain
  }
}

/** Whether the times of a verified chain still hold. */
export function isCurrent(chain: VerifiedChain, now: number): boolean {
  return now >= chain.validFrom && now <= chain.expiresAt
}
