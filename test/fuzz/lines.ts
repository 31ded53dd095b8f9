// Changes one line of an input that is made of lines.
import { spliced } from './mutate.ts'
import type { Random } from './random.ts'

export function mutatedLine(input: Uint8Array, random: Random, change: (line: Uint8Array) => Uint8Array): Uint8Array {
  const starts = [0]
  for (let at = input.indexOf(0x0a); at !== -1; at = input.indexOf(0x0a, at + 1)) starts.push(at + 1)
  const which = random.below(starts.length)
  const start = starts[which] ?? 0
  const next = starts[which + 1]
  const end = next === undefined ? input.length : next - 1
  return spliced(input, start, end, change(input.subarray(start, end)))
}
