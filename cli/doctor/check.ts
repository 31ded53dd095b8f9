// One thing that doctor looks at, and what it can find.
import type { Scene } from './scene.ts'

export interface Finding {
  /** `skipped`: cannot be told from here, and why. */
  readonly state: 'green' | 'red' | 'skipped'
  /** One sentence. */
  readonly saw: string
  /** What to do; where it is red. */
  readonly todo?: string
}

export interface Check {
  /** Stays the same from version to version. */
  readonly name: string
  /** What it proves, in half a sentence. */
  readonly proves: string
  /** Milliseconds that it may take. */
  readonly patience: number
  readonly run: (scene: Scene, signal: AbortSignal) => Finding | Promise<Finding>
}

export const green = (saw: string): Finding => ({ state: 'green', saw })
export const red = (saw: string, todo: string): Finding => ({ state: 'red', saw, todo })
export const skipped = (why: string): Finding => ({ state: 'skipped', saw: why })
