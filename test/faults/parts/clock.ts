// The clock of the proxy: too slow, standing still, an hour ahead and then an hour behind, and to and fro.
import type { ObservedProxy } from '../../support/observed-proxy.ts'
import type { ClockOrder } from '../clock-shift.ts'
import { Flapping, type Kind, type Part } from '../part.ts'

const hour = 3_600_000
/** Milliseconds that the first lie lasts. */
const half = 800

export class Clock implements Part {
  readonly name = 'clock'
  readonly #proxy: ObservedProxy
  readonly #flapping = new Flapping((well) => this.#set({ ahead: well ? -hour : hour, pace: 1 }), 200)
  #turn: NodeJS.Timeout | undefined
  #setting: Promise<unknown> = Promise.resolve()

  constructor(proxy: ObservedProxy) {
    this.#proxy = proxy
  }

  async begin(kind: Kind): Promise<void> {
    if (kind === 'flapping') return this.#flapping.begin()
    if (kind === 'slow') return this.#set({ ahead: 0, pace: 0.2 })
    if (kind === 'dead') return this.#set({ ahead: 0, pace: 0 })
    await this.#set({ ahead: hour, pace: 1 })
    this.#turn = setTimeout(() => void this.#set({ ahead: -hour, pace: 1 }), half)
  }

  async end(): Promise<void> {
    this.#flapping.end()
    clearTimeout(this.#turn)
    await this.#set({ ahead: 0, pace: 1 })
  }

  async #set(order: ClockOrder): Promise<void> {
    this.#setting = this.#setting.then(() => this.#proxy.tell(order))
    await this.#setting
  }
}
