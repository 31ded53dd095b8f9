// A part of the surroundings that can go wrong, and the ways in which it does.

export const kinds = ['slow', 'dead', 'lying', 'flapping'] as const
export type Kind = (typeof kinds)[number]

export const partNames = ['token server', 'DNS', 'Workload API', 'upstream', 'disk', 'clock'] as const
export type PartName = (typeof partNames)[number]

export interface Part {
  readonly name: PartName
  begin(kind: Kind): void | Promise<void>
  /** All is well again. */
  end(): void | Promise<void>
}

export interface Fault {
  readonly part: PartName
  readonly kind: Kind
}

/** What is there at one moment and not at the next. @param every milliseconds */
export class Flapping {
  readonly #turn: (well: boolean) => unknown
  readonly #every: number
  #timer: NodeJS.Timeout | undefined
  #well = true

  constructor(turn: (well: boolean) => unknown, every: number) {
    this.#turn = turn
    this.#every = every
  }

  begin(): void {
    const next = () => {
      this.#well = !this.#well
      void this.#turn(this.#well)
    }
    next()
    this.#timer = setInterval(next, this.#every)
  }

  /** Leaves it as it is at this moment. */
  end(): void {
    clearInterval(this.#timer)
    this.#well = true
  }
}
