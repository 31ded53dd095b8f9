// Every fault alone, and every two of different parts; for the short run a sample of the pairs.
import { type Fault, kinds, type PartName } from './part.ts'

export type Combination = readonly [Fault] | readonly [Fault, Fault]

export function singles(parts: readonly PartName[]): readonly Combination[] {
  return parts.flatMap((part) => kinds.map((kind) => [{ part, kind }] as const))
}

export function pairs(parts: readonly PartName[]): readonly Combination[] {
  const faults = singles(parts).map(([fault]) => fault)
  return faults.flatMap((one, at) =>
    faults.slice(at + 1).flatMap((other) => (one.part === other.part ? [] : [[one, other] as const])),
  )
}

/** A linear congruential generator: the same sample for the same seed. */
export function sample<T>(from: readonly T[], count: number, seed: number): readonly T[] {
  let state = seed >>> 0
  const next = () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return state / 2 ** 32
  }
  return from
    .map((each) => [next(), each] as const)
    .toSorted(([one], [other]) => one - other)
    .slice(0, count)
    .map(([, each]) => each)
}

export function nameOf(combination: Combination): string {
  return combination.map(({ part, kind }) => `${part} ${kind}`).join(' + ')
}
