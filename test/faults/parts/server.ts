// An HTTPS server that answers as it should, late, not at all, or wrongly: the token server and the upstream of what is disturbed.
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Server } from 'node:https'
import type { Socket } from 'node:net'
import { Flapping, type Kind, type Part, type PartName } from '../part.ts'

/** Milliseconds; longer than anybody has the patience for. */
const late = 3_000

/** Wrong in one way or another. */
export type Lie = (response: ServerResponse, request: IncomingMessage) => void

export class MisbehavingServer implements Part {
  readonly name: PartName
  readonly #lies: readonly Lie[]
  readonly #sockets = new Set<Socket>()
  readonly #flapping = new Flapping((well) => this.#turn(well), 250)
  #state: Kind | 'well' = 'well'
  #told = 0

  constructor(name: PartName, lies: readonly Lie[]) {
    this.name = name
    this.#lies = lies
  }

  /** Takes charge of a server, whose listener must ask `answer`. */
  govern(server: Server): void {
    server.on('connection', (socket: Socket) => {
      if (this.#state === 'dead') socket.destroy()
      this.#sockets.add(socket)
      socket.on('error', () => {})
      socket.once('close', () => this.#sockets.delete(socket))
    })
  }

  /** Calls `well` where the server behaves. */
  answer(request: IncomingMessage, response: ServerResponse, well: () => void): void {
    if (this.#state === 'lying') this.#lies[this.#told++ % this.#lies.length]?.(response, request)
    else if (this.#state === 'dead') request.socket.destroy()
    else if (this.#state === 'slow') {
      const timer = setTimeout(well, late)
      response.on('close', () => clearTimeout(timer))
    } else well()
  }

  begin(kind: Kind): void {
    if (kind === 'flapping') this.#flapping.begin()
    else if (kind === 'dead') this.#turn(false)
    else this.#state = kind
  }

  end(): void {
    this.#flapping.end()
    this.#state = 'well'
  }

  #turn(well: boolean): void {
    this.#state = well ? 'well' : 'dead'
    if (!well) for (const socket of this.#sockets) socket.destroy()
  }
}
