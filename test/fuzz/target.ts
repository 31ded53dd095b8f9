// What is fuzzed: a piece of code that reads bytes from outside, and what must hold whatever they are.
import type { Random } from './random.ts'

export interface Target {
  /** The name of its file. */
  readonly name: string
  /** Sound inputs, from which others are bred. */
  readonly seeds: readonly (string | Uint8Array)[]
  /** Pieces that the format is made of. */
  readonly dictionary: readonly (string | Uint8Array)[]
  /** Bytes of an input; 2,048 unless told. */
  readonly longest?: number
  /** Changes an input as somebody would who knows its structure; used for half of all inputs. */
  readonly mutate?: (input: Uint8Array, random: Random) => Uint8Array
  /** Throws (or rejects) when the code under test does what it never may. */
  readonly run: (input: Uint8Array) => void | Promise<void>
}

/** Something that must hold does not. */
export class Broken extends Error {
  override readonly name = 'Broken'
}

/** @throws Broken unless it holds */
export function must(holds: boolean, what: string): asserts holds {
  if (!holds) throw new Broken(what)
}

/** As `must`, for two values that have to be the same as JSON. */
export function mustEqual(found: unknown, expected: unknown, what: string): void {
  const [one, other] = [JSON.stringify(found), JSON.stringify(expected)]
  if (one !== other) throw new Broken(`${what}: ${one} is not ${other}`)
}

/** What it gives; undefined when it ends in an error that `isNamed` knows. Every other error goes on. */
export function unlessRefused<Value>(act: () => Value, isNamed: (error: unknown) => boolean): Value | undefined {
  try {
    return act()
  } catch (error) {
    if (isNamed(error)) return undefined
    throw error
  }
}

/** As `unlessRefused`, of what takes its time. */
export async function unlessRejected<Value>(
  act: () => Promise<Value>,
  isNamed: (error: unknown) => boolean,
): Promise<Value | undefined> {
  try {
    return await act()
  } catch (error) {
    if (isNamed(error)) return undefined
    throw error
  }
}

export const bytesOf = (given: string | Uint8Array): Uint8Array =>
  typeof given === 'string' ? Buffer.from(given, 'utf8') : given

/** One byte a character, whatever the bytes. */
export const latin1 = (bytes: Uint8Array): string => Buffer.from(bytes).toString('latin1')

export const utf8 = (bytes: Uint8Array): string => Buffer.from(bytes).toString('utf8')
