// What the thread that runs a target and the one that watches it tell each other.
import type { Failure, Figures } from './engine.ts'

export interface Order {
  readonly target: string
  readonly seed: number
  /** Milliseconds. */
  readonly time: number
  readonly inputs: number
  /** Bytes. */
  readonly watched: SharedArrayBuffer
  /** What `Seen` knows by. */
  readonly seen: SharedArrayBuffer
  /** Undefined: begins with the seeds and what is kept on disk, and sees what inputs reach. Else it breeds from these alone. */
  readonly corpus: readonly Uint8Array[] | undefined
  /** Whether the shortest inputs that reach everything are wanted at the end. */
  readonly distil: boolean
}

export interface Done {
  readonly figures: Figures
  readonly failures: readonly Failure[]
  /** Milliseconds of breeding. */
  readonly took: number
  /** Bytes of heap at the end beyond those after a quarter of the run. */
  readonly growth: number
  /** All that is kept; what `distil` asks for, if it does. */
  readonly corpus: readonly Uint8Array[]
}

/** Lets the watcher see which input is being run, also when the thread that runs it never comes back. */
export class Watched {
  readonly #numbers: Int32Array
  readonly #bytes: Uint8Array

  constructor(buffer: SharedArrayBuffer) {
    this.#numbers = new Int32Array(buffer, 0, 4)
    this.#bytes = new Uint8Array(buffer, 16)
  }

  static readonly size = 16 + 256 * 1024

  begin(input: Uint8Array): void {
    this.#bytes.set(input.subarray(0, this.#bytes.length))
    this.#numbers[1] = input.length
    this.#numbers[2] = 1
    Atomics.add(this.#numbers, 0, 1)
  }

  end(): void {
    Atomics.store(this.#numbers, 2, 0)
  }

  get runs(): number {
    return Atomics.load(this.#numbers, 0)
  }

  /** Undefined between two. */
  get input(): Uint8Array | undefined {
    if (Atomics.load(this.#numbers, 2) === 0) return undefined
    return this.#bytes.slice(0, Math.min(this.#bytes.length, Atomics.load(this.#numbers, 1)))
  }
}
