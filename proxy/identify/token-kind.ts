// Tells which kind of token a bearer presented, where a listener takes two kinds in the one header.
import { readClaims, readCompact } from '../../certs/jwt-svid/compact.ts'
import { JwtSvidError } from '../../certs/jwt-svid/error.ts'
import type { Caller, Connection } from '../exchange.ts'
import type { Attestor } from './attestor.ts'

export type TokenKind = 'jwt-svid' | 'kubernetes-token'

/**
 * By the subject, which is a SPIFFE ID in the one kind and the name of a service account in the other (JWT-SVID §3.1), so
 * that no token can be good as both. Nothing is believed of it: it decides alone who verifies the token, and nobody else
 * does afterwards. What cannot be read is left to the verifier of JWT-SVIDs, which says what is wrong with it.
 */
export function tokenKindOf(token: string): TokenKind {
  try {
    const { sub } = readClaims(readCompact(token))
    return typeof sub === 'string' && sub.startsWith('system:serviceaccount:') ? 'kubernetes-token' : 'jwt-svid'
  } catch (error) {
    if (error instanceof JwtSvidError) return 'jwt-svid'
    throw error
  }
}

/** An attestor that is asked about tokens of its own kind only; to it those of the other are no evidence. */
export class OneKindOfToken implements Attestor {
  readonly name: TokenKind
  readonly #attestor: Attestor

  constructor(name: TokenKind, attestor: Attestor) {
    this.name = name
    this.#attestor = attestor
  }

  get epoch(): number {
    return this.#attestor.epoch ?? 0
  }

  async attest(connection: Connection, signal: AbortSignal): Promise<Caller | undefined> {
    const kind = connection.proxyAuthorization?.bearer()?.judgedBy(tokenKindOf)
    return kind === this.name ? await this.#attestor.attest(connection, signal) : undefined
  }
}
