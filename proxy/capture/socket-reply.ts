// Gives the outcome of a connection that is passed through unseen: a tunnel that CONNECT asked for, or a redirected one.
import type { Duplex } from 'node:stream'
import type { Answer, Delivered, Reply, Signal } from '../exchange.ts'
import { Refusal } from '../refusal.ts'
import { Withdrawal } from '../withdrawal.ts'
import type { Ending } from './ending.ts'
import { refuseOnSocket } from './reply.ts'
import { splice } from './splice.ts'
import { endTunnel } from './terminate.ts'

/** Who asked by CONNECT is answered in HTTP, anybody else in what is spoken there. */
export type Asked = 'by-connect' | 'by-address'

export class SocketReply implements Reply {
  readonly #id: string
  readonly #socket: Duplex
  readonly #listenerEnds: Ending
  readonly #asked: Asked
  readonly #gone = new Withdrawal()
  /** Aborted when access is withdrawn. */
  readonly #severed = new Withdrawal()

  constructor(id: string, socket: Duplex, listenerEnds: Ending, asked: Asked) {
    this.#id = id
    this.#socket = socket
    this.#listenerEnds = listenerEnds
    this.#asked = asked
    socket.once('close', () => this.#gone.abort(listenerEnds.reason ?? new Refusal('client_gone')))
  }

  get signal(): Signal {
    return this.#gone
  }

  async send(answer: Answer): Promise<Delivered> {
    if (answer.tunnel === undefined) throw new Refusal('internal_error', { detail: 'no connection behind the CONNECT' })
    if (this.#asked === 'by-connect') this.#socket.write('HTTP/1.1 200 Connection Established\r\n\r\n')
    return splice(this.#socket, answer.tunnel, this.#listenerEnds.over, this.#severed)
  }

  cut(refusal: Refusal): boolean {
    if (this.#gone.aborted) return false
    this.#severed.abort(refusal)
    this.#gone.abort(refusal)
    return true
  }

  async refuse(refusal: Refusal): Promise<Delivered> {
    if (this.#asked === 'by-connect') refuseOnSocket(this.#socket, refusal, this.#id)
    else endTunnel(this.#socket, refusal, this.#id, false)
    return { ended: refusal.reason === 'client_gone' ? 'client_gone' : 'refused', refusal, sent: 0 }
  }
}
