// For rules without a credential: takes out, and puts nothing in.
import type { Credentialed, Injected } from '../exchange.ts'
import { finish } from './draft.ts'
import type { Placement } from './placement.ts'
import { refuseStandIns } from './stand-in.ts'
import type { Stripper } from './strip.ts'

export class BarePlacement implements Placement {
  readonly kind: string
  readonly #stripper: Stripper

  constructor(kind: 'none' | 'agent', stripper: Stripper) {
    this.kind = kind
    this.#stripper = stripper
  }

  apply(exchange: Credentialed): Injected {
    refuseStandIns(exchange)
    return finish(exchange, this.#stripper.strip(exchange, false), [])
  }
}
