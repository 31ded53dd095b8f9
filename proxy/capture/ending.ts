// The end of a listener: nothing new begins, what is under way is counted, and told when its time is over.
import { setMaxListeners } from 'node:events'
import { Refusal } from '../refusal.ts'

/** Milliseconds that what was cut has to be recorded in. */
const lastWords = 1_000

export class Ending {
  readonly #over = new AbortController()
  #begun = false
  #underWay = 0
  #whenNothing: (() => void) | undefined

  constructor() {
    // Each exchange under way may listen.
    setMaxListeners(0, this.#over.signal)
  }

  /** Whether nothing new may begin. */
  get begun(): boolean {
    return this.#begun
  }

  /** Aborted when what is still under way is cut. */
  get over(): AbortSignal {
    return this.#over.signal
  }

  /** Why what is under way is cut; undefined as long as it is not. */
  get reason(): Refusal | undefined {
    return this.#over.signal.aborted ? this.#over.signal.reason : undefined
  }

  begin(): void {
    this.#begun = true
  }

  cut(): void {
    this.#over.abort(new Refusal('shutting_down', { detail: 'it had not ended when the time to stop was over' }))
  }

  /** An exchange is under way from here on, until `left`. */
  entered(): void {
    this.#underWay += 1
  }

  /** It has ended, and is recorded. */
  left(): void {
    this.#underWay -= 1
    if (this.#underWay === 0) this.#whenNothing?.()
  }

  /** Resolves when nothing is under way, or when that takes longer than it may. */
  async nothingUnderWay(): Promise<void> {
    if (this.#underWay === 0) return
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, lastWords)
      this.#whenNothing = () => {
        clearTimeout(timer)
        resolve()
      }
    })
  }
}
