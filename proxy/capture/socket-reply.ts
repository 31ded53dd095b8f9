// Gives the outcome of a CONNECT that is passed through unseen.
import type { Duplex } from 'node:stream'
import type { Answer, Delivered, Reply, Signal } from '../exchange.ts'
import { Refusal } from '../refusal.ts'
import { Withdrawal } from '../withdrawal.ts'
import type { Ending } from './ending.ts'
import { refuseOnSocket } from './reply.ts'
import { splice } from './splice.ts'

export class SocketReply implements Reply {
  readonly #id: string
  readonly #socket: Duplex
  readonly #listenerEnds: Ending
  readonly #gone = new Withdrawal()
  /** Aborted when access is withdrawn. */
  readonly #severed = new Withdrawal()

  constructor(id: string, socket: Duplex, listenerEnds: Ending) {
    this.#id = id
    this.#socket = socket
    this.#listenerEnds = listenerEnds
    socket.once('close', () => this.#gone.abort(listenerEnds.reason ?? new Refusal('client_gone')))
  }

  get signal(): Signal {
    return this.#gone
  }

  async send(answer: Answer): Promise<Delivered> {
    if (answer.tunnel === undefined) throw new Refusal('internal_error', { detail: 'no connection behind the CONNECT' })
    this.#socket.write('HTTP/1.1 200 Connection Established\r\n\r\n')
    return splice(this.#socket, answer.tunnel, this.#listenerEnds.over, this.#severed)
  }

  cut(refusal: Refusal): boolean {
    if (this.#gone.aborted) return false
    this.#severed.abort(refusal)
    this.#gone.abort(refusal)
    return true
  }

  async refuse(refusal: Refusal): Promise<Delivered> {
    refuseOnSocket(this.#socket, refusal, this.#id)
    return { ended: refusal.reason === 'client_gone' ? 'client_gone' : 'refused', refusal, sent: 0 }
  }
}
