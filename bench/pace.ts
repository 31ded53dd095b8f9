// How long a run takes and how much it asks: a whole one, and one for CI.
import type { Pace } from './scenarios/scenario.ts'

export const wholePace: Pace = {
  rounds: 15,
  settle: 6,
  warmup: 0.5,
  seconds: 1,
  streams: 1000,
  idleConnections: 1000,
  bodyBytes: 2 ** 30,
  starts: 5,
}

export const shortPace: Pace = {
  ...wholePace,
  rounds: 4,
  settle: 4,
  // Less, and what is measured is the compiler.
  warmup: 1.5,
  seconds: 1,
  streams: 300,
  bodyBytes: 2 ** 27,
  starts: 2,
}
