// Puts the credential of a rule in one place, after everything that must hold before was checked.
import type { Credentialed, Injected } from '../exchange.ts'
import { finish } from './draft.ts'
import { type Bindings, leaseFor } from './guard.ts'
import type { Placement } from './placement.ts'
import { refuseStandIns } from './stand-in.ts'
import type { Stripper } from './strip.ts'
import type { Writer } from './writer.ts'

export class CredentialPlacement implements Placement {
  readonly kind: string
  readonly #writer: Writer
  readonly #stripper: Stripper
  readonly #bindings: Bindings

  constructor(writer: Writer, stripper: Stripper, bindings: Bindings) {
    this.kind = writer.kind
    this.#writer = writer
    this.#stripper = stripper
    this.#bindings = bindings
  }

  apply(exchange: Credentialed): Injected {
    refuseStandIns(exchange)
    const lease = leaseFor(exchange, this.#bindings)
    const draft = this.#stripper.strip(exchange, true)
    const emitted = this.#writer.write(lease, draft)
    return finish(exchange, draft, emitted)
  }
}
