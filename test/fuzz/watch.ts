// Runs a target in a thread, and sees to it that whatever happens there is told with the input that did it.
import { Worker } from 'node:worker_threads'
import type { Failure, Figures } from './engine.ts'
import { type Done, type Order, Watched } from './protocol.ts'

export interface Budget {
  /** Milliseconds. */
  readonly time: number
  readonly inputs: number
  readonly seed: number
  readonly distil: boolean
}

export interface Result extends Figures {
  readonly target: string
  readonly failures: readonly Failure[]
  /** Milliseconds. */
  readonly took: number
  /** Bytes. */
  readonly growth: number
  readonly corpus: readonly Uint8Array[] | undefined
}

/** Milliseconds after which one input is taken for endless, however busy the machine is. */
const endless = 10_000
const look = 250
/** Heap growth over three quarters of a run that is a failure: a small leak times a hundred thousand inputs. Bytes. */
export const mostGrowth = 96 * 1024 * 1024

/** Threads that may be lost to one target. */
const mostLost = 3

/** Goes on in another thread when one is lost. */
export async function fuzz(target: string, budget: Budget): Promise<Result> {
  const failures: Failure[] = []
  const started = performance.now()
  let lostRuns = 0
  for (let seed = budget.seed; ; seed++) {
    const time = budget.time - (performance.now() - started)
    const outcome = await oneThread(target, { ...budget, seed, time, inputs: budget.inputs - lostRuns })
    if ('figures' in outcome) {
      const { figures, growth, corpus } = outcome
      failures.push(...outcome.failures, ...grown(growth))
      const took = performance.now() - started
      return { target, ...figures, inputs: figures.inputs + lostRuns, failures, took, growth, corpus }
    }
    failures.push(outcome.failure)
    lostRuns += outcome.runs
    if (failures.length >= mostLost || performance.now() - started >= budget.time) {
      const took = performance.now() - started
      return { target, inputs: lostRuns, blocks: 0, corpus: undefined, kept: 0, failures, took, growth: 0 }
    }
  }
}

interface Lost {
  readonly failure: Failure
  readonly runs: number
}

async function oneThread(target: string, { time, inputs, seed, distil }: Budget): Promise<Done | Lost> {
  const buffer = new SharedArrayBuffer(Watched.size)
  const watched = new Watched(buffer)
  const order: Order = { target, seed, time, inputs, distil, watched: buffer }
  const worker = new Worker(new URL('./worker.ts', import.meta.url), {
    workerData: order,
    resourceLimits: { maxOldGenerationSizeMb: 768 },
  })
  const { promise, resolve } = Promise.withResolvers<Done | Lost>()
  const lose = (kind: Failure['kind'], why: string) => {
    const input = watched.input ?? new Uint8Array()
    resolve({ failure: { kind, input, why, key: `${kind}:${why}` }, runs: watched.runs })
  }
  let [runs, since] = [0, performance.now()]
  const timer = setInterval(() => {
    const now = performance.now()
    if (watched.runs !== runs || watched.input === undefined) [runs, since] = [watched.runs, now]
    else if (now - since > endless) lose('hang', `no end after ${endless / 1_000} s`)
  }, look)
  worker
    .on('message', resolve)
    // Out of memory, or something thrown after the run that started it.
    .on('error', (error) => lose('crash', error instanceof Error ? (error.stack ?? error.message) : String(error)))
    .on('exit', (code) => lose('crash', `the thread ended with ${code}`))
  try {
    return await promise
  } finally {
    clearInterval(timer)
    await worker.terminate()
  }
}

function grown(bytes: number): Failure[] {
  if (bytes <= mostGrowth) return []
  return [{ kind: 'crash', key: 'memory', why: `the heap grew by ${bytes >> 20} MB`, input: new Uint8Array() }]
}
