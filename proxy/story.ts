// Remembers how far an exchange came and what each stage took, for the record.
import type { Answer, Captured, Outcome, Reached, Stage } from './exchange.ts'
import type { Refusal } from './refusal.ts'

/** Milliseconds with fractions, never going back. */
export type Stopwatch = () => number

export class Story {
  readonly #stopwatch: Stopwatch
  readonly #began: number
  readonly #spent: Partial<Record<Stage, number>> = {}
  readonly #kind: Outcome['kind']
  #reached: Reached
  /** The address that an answer came from. */
  #address: string | undefined
  #mark: number

  constructor(captured: Captured, kind: Outcome['kind'], stopwatch: Stopwatch) {
    this.#reached = captured
    this.#kind = kind
    this.#stopwatch = stopwatch
    this.#began = stopwatch()
    this.#mark = this.#began
  }

  /** How far it has come. */
  get reached(): Reached {
    return this.#reached
  }

  /** Notes that `stage` ended now, with this result, and hands the result on. */
  came<T extends Reached>(stage: Stage, reached: T): T {
    this.#reached = reached
    this.#lap(stage)
    return reached
  }

  answered(answer: Answer): Answer {
    this.#lap('forward')
    this.#address = answer.address
    return answer
  }

  /** @param end what came of it; a refusal tells the stage that made it by the times that are missing */
  ends(end: {
    refusal?: Refusal | undefined
    answer?: Answer | undefined
    ended: Outcome['ended']
    bytes: Outcome['bytes']
  }): Outcome {
    if (end.answer !== undefined) this.#lap('body')
    return {
      kind: this.#kind,
      exchange: end.refusal?.known === undefined ? this.#reached : { ...end.refusal.known, ...this.#reached },
      refusal: end.refusal,
      answer: end.answer ?? this.#withheld(end.refusal),
      ended: end.ended,
      bytes: end.bytes,
      spent: this.#spent,
      endedAt: this.#reached.receivedAt + (this.#stopwatch() - this.#began),
    }
  }

  /** An answer that was refused after it had come is recorded as what the agent got in its place. */
  #withheld(refusal: Refusal | undefined): Outcome['answer'] {
    if (this.#address === undefined || refusal === undefined) return undefined
    return { status: refusal.status, address: this.#address, findings: [] }
  }

  #lap(stage: Stage): void {
    const now = this.#stopwatch()
    this.#spent[stage] = (this.#spent[stage] ?? 0) + now - this.#mark
    this.#mark = now
  }
}
