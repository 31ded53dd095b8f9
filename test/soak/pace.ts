// Starts work at a constant rate, whether what was started before has ended or not, and counts how it ended.

export interface Work {
  readonly name: string
  /** A second. */
  readonly rate: number
  /** Rejects when something went otherwise than it should. */
  readonly once: (number: number) => Promise<unknown>
}

export interface Tally {
  started: number
  ended: number
  failed: number
  /** Not started, since too much of the kind was under way. */
  left: number
  /** Of the first that failed. */
  complaint: string | undefined
}

/** Of one kind, started and not ended. Where the machine cannot keep up with the rate, less is asked: what piles up is no leak. */
const mostUnderWay = 24

export class Pace {
  readonly tallies = new Map<string, Tally>()
  readonly #timers: NodeJS.Timeout[] = []
  readonly #underWay = new Set<Promise<void>>()

  start({ name, rate, once }: Work): void {
    const tally: Tally = { started: 0, ended: 0, failed: 0, left: 0, complaint: undefined }
    this.tallies.set(name, tally)
    const began = performance.now()
    let due = 0
    const tick = () => {
      for (const until = ((performance.now() - began) / 1_000) * rate; due < until; due++) {
        if (tally.started - tally.ended < mostUnderWay) this.#begin(tally, once)
        else tally.left++
      }
    }
    this.#timers.push(setInterval(tick, Math.max(5, Math.min(1_000, 1_000 / rate))))
  }

  /** Starts nothing more, and waits for what is under way. */
  async stop(): Promise<void> {
    for (const timer of this.#timers) clearInterval(timer)
    await Promise.all(this.#underWay)
  }

  #begin(tally: Tally, once: Work['once']): void {
    const began = performance.now()
    const work = once(tally.started++).then(
      () => {
        tally.ended++
      },
      (error: unknown) => {
        tally.ended++
        tally.failed++
        const what = error instanceof Error ? error.message : String(error)
        tally.complaint ??= `${what} (after ${(performance.now() - began).toFixed(0)} ms)`
      },
    )
    const watched: Promise<void> = work.finally(() => this.#underWay.delete(watched))
    this.#underWay.add(watched)
  }
}
