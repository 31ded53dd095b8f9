// Breeds inputs: changes those that are kept, runs the target on them, and keeps what reached a block that none had reached.
import type { Coverage } from './coverage.ts'
import { type Material, mutated } from './mutate.ts'
import type { Random } from './random.ts'
import type { Seen } from './seen.ts'
import { bytesOf, type Target } from './target.ts'

/** What a target did that it may not. */
export interface Failure {
  readonly kind: 'crash' | 'hang'
  readonly input: Uint8Array
  /** The error, or how long it took. */
  readonly why: string
  /** The same for the same cause, so that one is told once. */
  readonly key: string
}

export interface Figures {
  /** No two of them the same. */
  readonly inputs: number
  readonly blocks: number
  /** Inputs that reached something new, and those given. */
  readonly kept: number
}

export interface Limits {
  /** Milliseconds. */
  readonly time: number
  readonly inputs: number
}

export interface Means {
  /** Undefined: what inputs reach is not asked, and nothing more is kept. */
  readonly coverage: Coverage | undefined
  readonly random: Random
  readonly seen: Seen
  /** Told of each input before it runs, and of nothing once it has. */
  readonly onRun: (input: Uint8Array | undefined) => void
}

/** Milliseconds of CPU that one input may take. */
export const longestRun = 1_000
/** After so long, in milliseconds, coverage is asked for: it costs two. */
const batchTime = 100
const largestBatch = 4_096
/** Runs spent on making an input that failed shorter. */
const shorteningRuns = 1_500

export class Engine {
  readonly #target: Target
  readonly #coverage: Coverage | undefined
  readonly #random: Random
  readonly #seen: Seen
  readonly #dictionary: readonly Uint8Array[]
  readonly #longest: number
  readonly #onRun: (input: Uint8Array | undefined) => void
  readonly #failures = new Map<string, Failure>()
  #corpus: Uint8Array[] = []
  #inputs = 0
  #batch = 16

  constructor(target: Target, { coverage, random, seen, onRun }: Means) {
    this.#target = target
    this.#coverage = coverage
    this.#random = random
    this.#seen = seen
    this.#dictionary = target.dictionary.map(bytesOf)
    this.#longest = target.longest ?? 2_048
    this.#onRun = onRun
  }

  get failures(): readonly Failure[] {
    return [...this.#failures.values()]
  }

  /** The inputs that are kept. */
  get corpus(): readonly Uint8Array[] {
    return this.#corpus
  }

  get figures(): Figures {
    return { inputs: this.#inputs, blocks: this.#coverage?.blocks ?? 0, kept: this.#corpus.length }
  }

  /** Runs what is known already, unless it has been; all of it stays. */
  async begin(inputs: readonly Uint8Array[]): Promise<void> {
    for (const input of inputs) {
      if (!this.#seen.add(input)) continue
      await this.#run(input)
      this.#inputs++
    }
    this.#coverage?.merge(this.#coverage.take())
    this.#corpus = inputs.length === 0 ? [new Uint8Array()] : [...inputs]
  }

  async breed({ time, inputs }: Limits): Promise<void> {
    const end = performance.now() + time
    while (this.#inputs < inputs && performance.now() < end) {
      const batch: Uint8Array[] = []
      const started = performance.now()
      const size = Math.min(this.#batch, inputs - this.#inputs)
      while (batch.length < size && performance.now() - started < batchTime * 2) {
        const input = this.#bred()
        if (!this.#seen.add(input)) continue
        batch.push(input)
        await this.#run(input)
      }
      this.#inputs += batch.length
      if (performance.now() - started < batchTime) this.#batch = Math.min(largestBatch, this.#batch * 2)
      else this.#batch = Math.max(1, Math.ceil(batch.length / 2))
      if (this.#coverage !== undefined) await this.#explore(this.#coverage, batch, false)
    }
  }

  /** The shortest inputs that together reach all that is reached, each as short as it can be. */
  async distilled(): Promise<readonly Uint8Array[]> {
    const coverage = this.#coverage
    if (coverage === undefined) return this.#corpus
    const kept: Uint8Array[] = []
    coverage.take()
    coverage.forget()
    const byLength = this.#corpus.toSorted((one, other) => one.length - other.length)
    for (const input of byLength) {
      await this.#run(input)
      const delta = coverage.take()
      if (!coverage.isNew(delta)) continue
      coverage.merge(delta)
      kept.push(input)
    }
    return kept
  }

  #bred(): Uint8Array {
    const random = this.#random
    const corpus = this.#corpus
    // What was found last leads on more often than what has been changed a thousand times.
    const newest = Math.max(1, corpus.length >> 2)
    const at = random.oneIn(2) ? corpus.length - 1 - random.below(newest) : random.below(corpus.length)
    const input = corpus[at] ?? new Uint8Array()
    const { mutate } = this.#target
    if (mutate !== undefined && random.oneIn(2)) return mutate(input, random).slice(0, this.#longest)
    const material: Material = { dictionary: this.#dictionary, other: random.pick(corpus), longest: this.#longest }
    return mutated(input, random, material)
  }

  /** Finds which of the inputs that have run reached something new, by halves. */
  async #explore(coverage: Coverage, inputs: readonly Uint8Array[], again: boolean): Promise<void> {
    if (again) for (const input of inputs) await this.#run(input)
    const delta = coverage.take()
    if (!coverage.isNew(delta)) return
    if (inputs.length === 1) this.#corpus.push(...inputs)
    else {
      const half = inputs.length >> 1
      await this.#explore(coverage, inputs.slice(0, half), true)
      await this.#explore(coverage, inputs.slice(half), true)
    }
    // What runs once alone, such as the filling of a cache, is nobody's merit.
    coverage.merge(delta)
  }

  async #run(input: Uint8Array): Promise<void> {
    const started = performance.now()
    const failure = await this.#failure(input)
    if (failure !== undefined && !this.#failures.has(failure.key))
      this.#failures.set(failure.key, { ...failure, input: await this.#shortened(failure) })
    if (performance.now() - started < longestRun) return
    // The machine may have been busy with something else: the CPU time of a second run decides.
    const before = process.threadCpuUsage()
    await this.#failure(input)
    const { user, system } = process.threadCpuUsage(before)
    const taken = (user + system) / 1_000
    if (taken < longestRun || failure !== undefined) return
    const key = `slow:${Math.round(Math.log2(taken))}`
    if (!this.#failures.has(key))
      this.#failures.set(key, { kind: 'hang', input, key, why: `${Math.round(taken)} ms of CPU` })
  }

  async #failure(input: Uint8Array): Promise<Failure | undefined> {
    this.#onRun(input)
    try {
      const running = this.#target.run(input)
      if (running !== undefined) await running
      return undefined
    } catch (error) {
      return { kind: 'crash', input, key: keyOf(error), why: textOf(error) }
    } finally {
      this.#onRun(undefined)
    }
  }

  /** Takes out piece after piece as long as the same thing goes wrong. */
  async #shortened({ input, key }: Failure): Promise<Uint8Array> {
    let best = input
    let runs = 0
    for (let piece = best.length >> 1; piece >= 1; piece >>= 1) {
      for (let at = 0; at + piece <= best.length && runs < shorteningRuns; runs++) {
        const shorter = Buffer.concat([best.subarray(0, at), best.subarray(at + piece)])
        if ((await this.#failure(shorter))?.key === key) best = shorter
        else at += piece
      }
    }
    return best
  }
}

const textOf = (error: unknown) => (error instanceof Error ? (error.stack ?? error.message) : String(error))

/** Kind of error and where it was thrown; not the message, which often repeats the input. */
function keyOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  const frames = (error.stack ?? '')
    .split('\n')
    .filter((line) => /^\s+at .*\/(?:certs|policy|proxy|deploy|cli|targets)\//.test(line))
  const said = error.name === 'Broken' ? error.message.split(':')[0] : ''
  return `${error.name} ${said} ${frames[0]?.trim() ?? ''}`
}
