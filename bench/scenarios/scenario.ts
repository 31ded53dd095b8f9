// What a scenario gets and gives.
import type { Contest } from '../contest.ts'
import type { Subject } from '../subjects/subject.ts'

/** How long and how much. */
export interface Pace {
  readonly rounds: number
  /** Seconds under load before the first round, so that what is compared is compiled. */
  readonly settle: number
  /** Seconds before each measurement. */
  readonly warmup: number
  /** Seconds of each measurement. */
  readonly seconds: number
  readonly streams: number
  readonly idleConnections: number
  readonly bodyBytes: number
  readonly starts: number
}

export interface Table {
  readonly title: string
  readonly columns: readonly string[]
  readonly rows: readonly (readonly string[])[]
  readonly notes: readonly string[]
}

export interface Findings {
  readonly table: Table
  /** Figures that floors may be set for, such as `1 KB: postern ÷ undici`. */
  readonly figures: Readonly<Record<string, number>>
}

export interface Scenario {
  readonly name: string
  run(contest: Contest, subjects: readonly Subject[], pace: Pace): Promise<Findings>
}
