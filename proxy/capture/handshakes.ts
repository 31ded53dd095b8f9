// The handshakes of a listener on which callers show certificates. They cost more than a request, and nobody is known yet; so each waits for the turn of where it comes from.
import type { Socket } from 'node:net'
import type { SecureContext, TLSSocket, TlsOptions } from 'node:tls'
import type { Limiter } from '../../policy/limits.ts'
import { Refusal } from '../refusal.ts'
import type { Turns } from '../turns.ts'
import { mutual, mutualContext, spoken } from './mutual.ts'

interface HandshakesOptions {
  /** This process's certificate and key, until `present` replaces them. */
  readonly tls: TlsOptions
  /** By source. */
  readonly rate: Limiter
  readonly turns: Turns
  /** Milliseconds until the first byte, and as many for the handshake. */
  readonly patience: number
  readonly now: () => number
  /** Told when a handshake is one too many. */
  readonly onLimit: () => void
}

export class Handshakes {
  readonly #options: HandshakesOptions
  #shown: SecureContext

  constructor(options: HandshakesOptions) {
    this.#options = options
    this.#shown = mutualContext(options.tls)
  }

  /** Replaces the certificate for handshakes to come. */
  present(tls: TlsOptions): void {
    this.#shown = mutualContext(tls)
  }

  /**
   * Rejects like `mutual`.
   * @returns undefined where it was not to be
   */
  async greet(socket: Socket, source: string): Promise<TLSSocket | undefined> {
    const { rate, turns, patience, now, onLimit } = this.#options
    await spoken(socket, patience)
    if (rate.take(source, now()) > 0) {
      onLimit()
      socket.resetAndDestroy()
      return undefined
    }
    await turns.handshake(source)
    return socket.destroyed ? undefined : mutual(socket, this.#shown, patience)
  }
}

/** @returns undefined where nothing was asked: a connection that was opened and dropped, as probes do */
export function refusalOfHandshake(error: NodeJS.ErrnoException): Refusal | undefined {
  const code = error.code ?? error.message
  if (code === 'ECONNRESET') return undefined
  if (code === 'ERR_TLS_HANDSHAKE_TIMEOUT')
    return new Refusal('request_timeout', { detail: 'the TLS handshake took too long' })
  return new Refusal('bad_request', { detail: `TLS handshake: ${code}`, cause: error })
}
