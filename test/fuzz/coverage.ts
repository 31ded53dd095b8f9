// Which blocks of the product have run, by V8's own counters (the Profiler domain of the inspector), asked in this very thread.
import { type Profiler, Session } from 'node:inspector'
import { fileURLToPath } from 'node:url'

/** Folders whose code counts; other people's packages and Node itself do not. */
const counted = ['certs', 'policy', 'proxy', 'deploy', 'cli']

interface Block {
  /** For each byte of the function, whether it has run. Functions inside of it have their own. */
  readonly ran: Uint8Array
  /** Where blocks begin and end, so far as that has been told. */
  readonly edges: Set<number>
}

/** Only functions that ran since the last question. */
type Delta = readonly { readonly key: string; readonly ranges: readonly Profiler.CoverageRange[] }[]

export class Coverage {
  readonly #session = new Session()
  readonly #functions = new Map<string, Block>()
  /** By script: its path in the product, or nothing when it does not count. */
  readonly #paths = new Map<string, string | undefined>()
  readonly #root = fileURLToPath(new URL('../..', import.meta.url))
  #scratch = new Uint8Array(4096)

  /** Counts from here on; code that is to be counted is loaded afterwards. */
  start(): void {
    this.#session.connect()
    this.#session.post('Profiler.enable')
    this.#session.post('Profiler.startPreciseCoverage', { callCount: true, detailed: true })
  }

  [Symbol.dispose](): void {
    this.#session.disconnect()
  }

  /** What ran since the last call. Some two milliseconds, whatever ran. */
  take(): Delta {
    let result: readonly Profiler.ScriptCoverage[] = []
    this.#session.post('Profiler.takePreciseCoverage', (error, answer) => {
      if (error !== null) throw error
      result = answer.result
    })
    return result.flatMap(({ url, functions }) => {
      const path = this.#pathOf(url)
      if (path === undefined) return []
      return functions.flatMap(({ ranges }) => {
        const [whole] = ranges
        if (whole === undefined || whole.count === 0) return []
        return [{ key: `${path}:${whole.startOffset}:${whole.endOffset}`, ranges }]
      })
    })
  }

  /** Whether it holds a block that had not run before `merge` was told of it. */
  isNew(delta: Delta): boolean {
    return delta.some(({ key, ranges }) => {
      const known = this.#functions.get(key)?.ran
      return known === undefined || this.#painted(ranges).some((ran, at) => ran === 1 && known[at] === 0)
    })
  }

  merge(delta: Delta): void {
    for (const { key, ranges } of delta) {
      const painted = this.#painted(ranges)
      const known = this.#functions.get(key)
      const block = known ?? { ran: new Uint8Array(painted.length), edges: new Set<number>() }
      if (known === undefined) this.#functions.set(key, block)
      for (let at = 0; at < painted.length; at++) if (painted[at] === 1) block.ran[at] = 1
      const first = ranges[0]?.startOffset ?? 0
      for (const { startOffset, endOffset } of ranges) block.edges.add(startOffset - first).add(endOffset - first)
    }
  }

  /** Blocks that have run. */
  get blocks(): number {
    let count = 0
    for (const { ran, edges } of this.#functions.values()) for (const edge of edges) if (ran[edge] === 1) count++
    return count
  }

  /** Nothing has run yet. */
  forget(): void {
    this.#functions.clear()
  }

  /** Inner ranges stand behind the outer ones that they are exceptions of. */
  #painted(ranges: readonly Profiler.CoverageRange[]): Uint8Array {
    const { startOffset: first = 0, endOffset = 0 } = ranges[0] ?? {}
    const length = endOffset - first
    if (this.#scratch.length < length) this.#scratch = new Uint8Array(length * 2)
    for (const { startOffset, endOffset, count } of ranges)
      this.#scratch.fill(count > 0 ? 1 : 0, startOffset - first, endOffset - first)
    return this.#scratch.subarray(0, length)
  }

  #pathOf(url: string): string | undefined {
    if (this.#paths.has(url)) return this.#paths.get(url)
    const path = url.startsWith('file://') ? fileURLToPath(url) : url
    const inside = path.startsWith(this.#root) ? path.slice(this.#root.length) : undefined
    const found = inside !== undefined && counted.includes(inside.split('/')[0] ?? '') ? inside : undefined
    this.#paths.set(url, found)
    return found
  }
}
