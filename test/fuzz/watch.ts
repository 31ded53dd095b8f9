// Runs a target in a thread, and sees to it that whatever happens there is told with the input that did it.
import { Worker } from 'node:worker_threads'
import type { Failure, Figures } from './engine.ts'
import { type Done, type Order, Watched } from './protocol.ts'
import { Seen } from './seen.ts'

export interface Budget {
  /** Milliseconds. */
  readonly time: number
  readonly inputs: number
  readonly seed: number
  readonly distil: boolean
}

export interface Result extends Figures {
  readonly target: string
  /** Of the inputs, those of which it was asked what they reach. */
  readonly counted: number
  readonly failures: readonly Failure[]
  /** Milliseconds. */
  readonly took: number
  /** Bytes. */
  readonly growth: number
  readonly corpus: readonly Uint8Array[]
}

/** After so long, in milliseconds, one input is taken for endless, however busy the machine is. */
const endless = 10_000
const look = 250
/** Heap growth over three quarters of a run that is a failure: a small leak times a hundred thousand inputs. Bytes. */
export const mostGrowth = 96 * 1024 * 1024

/** Threads that may be lost to one target. */
const mostLost = 3

/** Shares of the time and of the inputs, whichever is over first, in which it is asked what inputs reach. */
const countedTime = 0.25
const countedInputs = 0.05

/**
 * First it is asked what inputs reach, which slows all code down; then others are bred from those that were kept, in a
 * thread that asks nothing. Goes on in another thread when one is lost.
 */
export async function fuzz(target: string, budget: Budget): Promise<Result> {
  const { distil } = budget
  const failures = new Map<string, Failure>()
  const started = performance.now()
  const seen = Seen.bufferFor(budget.inputs)
  const sum = { inputs: 0, counted: 0, blocks: 0, kept: 0, growth: 0 }
  let corpus: readonly Uint8Array[] | undefined
  for (let [turn, lost] = [0, 0]; lost < mostLost; turn++) {
    const left = budget.time - (performance.now() - started)
    if (turn > 0 && (left <= 0 || sum.inputs >= budget.inputs || (distil && corpus !== undefined))) break
    const first = corpus === undefined && !distil
    const outcome = await oneThread({
      target,
      seed: budget.seed + turn,
      time: left * (first ? countedTime : 1),
      inputs: Math.ceil((budget.inputs - sum.inputs) * (first ? countedInputs : 1)),
      seen,
      corpus,
      distil,
    })
    if ('failure' in outcome) {
      lost++
      failures.set(outcome.failure.key, outcome.failure)
      sum.inputs += outcome.runs
      continue
    }
    const { figures, growth } = outcome
    for (const failure of [...outcome.failures, ...grown(growth)])
      if (!failures.has(failure.key)) failures.set(failure.key, failure)
    sum.inputs += figures.inputs
    sum.growth = Math.max(sum.growth, growth)
    if (corpus !== undefined) break
    corpus = outcome.corpus
    sum.counted = figures.inputs
    sum.blocks = figures.blocks
    sum.kept = figures.kept
  }
  const took = performance.now() - started
  return { target, ...sum, failures: [...failures.values()], took, corpus: corpus ?? [] }
}

interface Lost {
  readonly failure: Failure
  readonly runs: number
}

async function oneThread(what: Omit<Order, 'watched'>): Promise<Done | Lost> {
  const buffer = new SharedArrayBuffer(Watched.size)
  const watched = new Watched(buffer)
  const order: Order = { ...what, watched: buffer }
  const worker = new Worker(new URL('./worker.ts', import.meta.url), {
    workerData: order,
    resourceLimits: { maxOldGenerationSizeMb: 768 },
  })
  const { promise, resolve } = Promise.withResolvers<Done | Lost>()
  const lose = (kind: Failure['kind'], why: string) => {
    const input = watched.input ?? new Uint8Array()
    resolve({ failure: { kind, input, why, key: `${kind}:${why}` }, runs: watched.runs })
  }
  // Looks are counted, and not the clock: while the whole process stands still, nobody looks.
  let [runs, looks] = [0, 0]
  const timer = setInterval(() => {
    if (watched.runs !== runs || watched.input === undefined) [runs, looks] = [watched.runs, 0]
    else if (++looks * look > endless) lose('hang', `no end after ${endless / 1_000} s`)
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
