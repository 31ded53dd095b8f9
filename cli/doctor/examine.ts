// Runs the checks side by side, each within its time, all of them within half a minute.
import type { Check, Finding } from './check.ts'
import type { Scene } from './scene.ts'

export interface Examined extends Finding {
  readonly name: string
  readonly milliseconds: number
}

/** Milliseconds for all of it. */
export const longest = 28_000
/** Runtimes at once: each takes a processor for itself. */
const runtimesAtOnce = 3

/** In the order of the checks. Never rejects. */
export async function examine(
  checks: readonly Check[],
  scene: Scene,
  whole: AbortSignal,
): Promise<readonly Examined[]> {
  const turns = new Turns(runtimesAtOnce)
  return Promise.all(
    checks.map((check) => {
      const one = () => within(check, scene, whole)
      return check.name.startsWith('runtime-') ? turns.take(one) : one()
    }),
  )
}

async function within({ name, patience, run }: Check, scene: Scene, whole: AbortSignal): Promise<Examined> {
  const began = performance.now()
  const signal = AbortSignal.any([whole, AbortSignal.timeout(patience)])
  const late = new Promise<Finding>((resolve) => {
    const tell = () => resolve(tooLate(performance.now() - began))
    if (signal.aborted) tell()
    else signal.addEventListener('abort', tell, { once: true })
  })
  const finding = await Promise.race([
    Promise.resolve()
      .then(() => run(scene, signal))
      .catch(broken),
    late,
  ])
  return { name, milliseconds: Math.round(performance.now() - began), ...finding }
}

const tooLate = (milliseconds: number): Finding => ({
  state: 'red',
  saw: `There was no result within ${Math.round(milliseconds / 1_000)} s.`,
  todo: 'Run it again with `--only` and this name, when the machine has less to do.',
})

const broken = (error: unknown): Finding => ({
  state: 'red',
  saw: `It could not be looked at: ${error instanceof Error ? error.message : String(error)}.`,
  todo: 'This is a mistake of Postern; what it says belongs into a report.',
})

/** Lets so many run at once, the others in turn. */
class Turns {
  #free: number
  readonly #waiting: (() => void)[] = []

  constructor(free: number) {
    this.#free = free
  }

  async take<T>(run: () => Promise<T>): Promise<T> {
    if (this.#free > 0) this.#free -= 1
    else await new Promise<void>((resolve) => this.#waiting.push(resolve))
    try {
      return await run()
    } finally {
      const next = this.#waiting.shift()
      if (next === undefined) this.#free += 1
      else next()
    }
  }
}
