// Changes bytes in the ways in which formats break: bits, lengths, numbers, words of the format, pieces of other inputs.
import type { Random } from './random.ts'

export interface Material {
  readonly dictionary: readonly Uint8Array[]
  /** Another input. */
  readonly other: Uint8Array
  readonly longest: number
}

type Change = (bytes: Uint8Array, random: Random, material: Material) => Uint8Array

/** One to six changes, one after the other. */
export function mutated(input: Uint8Array, random: Random, material: Material): Uint8Array {
  let bytes = input
  for (let left = 1 + random.below(random.oneIn(4) ? 6 : 2); left > 0; left--)
    bytes = random.pick(changes)(bytes, random, material)
  return bytes.length > material.longest ? bytes.slice(0, material.longest) : bytes
}

/** The bytes with those from `start` to `end` replaced. */
export function spliced(bytes: Uint8Array, start: number, end: number, put: Uint8Array): Uint8Array {
  const result = new Uint8Array(start + put.length + bytes.length - end)
  result.set(bytes.subarray(0, start))
  result.set(put, start)
  result.set(bytes.subarray(end), start + put.length)
  return result
}

const nothing = new Uint8Array()

const flip: Change = (bytes, random) => {
  const copy = Uint8Array.from(bytes)
  const at = random.below(copy.length)
  copy[at] = (copy[at] ?? 0) ^ (1 << random.below(8))
  return copy
}

/** Ends of ranges, and bytes with a meaning in some format. */
const telling = [0, 1, 9, 10, 13, 32, 34, 37, 38, 44, 45, 46, 47, 48, 57, 58, 61, 63, 64, 92, 126, 127, 128, 254, 255]

const set: Change = (bytes, random) => {
  const copy = Uint8Array.from(bytes)
  copy[random.below(copy.length)] = random.oneIn(2) ? random.pick(telling) : random.below(256)
  return copy
}

const insert: Change = (bytes, random) => {
  const at = random.below(bytes.length + 1)
  const put = new Uint8Array(1 + random.below(random.oneIn(8) ? 64 : 4))
  const same = random.oneIn(2) ? random.pick(telling) : undefined
  for (let index = 0; index < put.length; index++) put[index] = same ?? random.below(256)
  return spliced(bytes, at, at, put)
}

const remove: Change = (bytes, random) => {
  const { start, end } = range(bytes, random)
  return spliced(bytes, start, end, nothing)
}

const repeat: Change = (bytes, random) => {
  const { start, end } = range(bytes, random)
  return spliced(bytes, end, end, bytes.subarray(start, end))
}

const move: Change = (bytes, random) => {
  const { start, end } = range(bytes, random)
  const rest = spliced(bytes, start, end, nothing)
  const at = random.below(rest.length + 1)
  return spliced(rest, at, at, bytes.subarray(start, end))
}

const cutOff: Change = (bytes, random) => bytes.slice(0, random.below(bytes.length + 1))

const word: Change = (bytes, random, { dictionary }) => {
  if (dictionary.length === 0) return flip(bytes, random, { dictionary, other: nothing, longest: 0 })
  const put = random.pick(dictionary)
  const at = random.below(bytes.length + 1)
  return spliced(bytes, at, random.oneIn(2) ? at : Math.min(bytes.length, at + put.length), put)
}

/** A piece of another input, put in or in the place of some bytes. */
const cross: Change = (bytes, random, { other }) => {
  const from = range(other, random)
  const { start, end } = range(bytes, random)
  return spliced(bytes, start, random.oneIn(2) ? start : end, other.subarray(from.start, from.end))
}

/** A big-endian number of one to four bytes, as lengths are: a little more or less, the end of its range, or what is left. */
const length: Change = (bytes, random) => {
  const copy = Uint8Array.from(bytes)
  const width = Math.min(1 + random.below(4), copy.length)
  if (width === 0) return copy
  const at = random.below(copy.length - width + 1)
  const view = Buffer.from(copy.buffer, copy.byteOffset, copy.length)
  const most = 2 ** (8 * width) - 1
  const now = view.readUIntBE(at, width)
  const rest = copy.length - at - width
  const put = random.pick([now + 1, now - 1, now + random.below(16), 0, most, most >> 1, rest, rest - 1, rest + 1])
  view.writeUIntBE(Math.min(most, Math.max(0, put)), at, width)
  return copy
}

const numbers = [
  '0',
  '-1',
  '1',
  '00',
  '255',
  '256',
  '65535',
  '65536',
  '2147483648',
  '9007199254740993',
  '1e999',
  '0x10',
]

/** Digits that stand for a number in a text. */
const decimal: Change = (bytes, random) => {
  const found = [...Buffer.from(bytes).toString('latin1').matchAll(/\d+/g)]
  if (found.length === 0) return set(bytes, random, { dictionary: [], other: nothing, longest: 0 })
  const { index, 0: digits } = random.pick(found)
  const now = Number(digits)
  const put = random.oneIn(2) ? random.pick(numbers) : String(random.oneIn(2) ? now + 1 : Math.max(0, now - 1))
  return spliced(bytes, index, index + digits.length, Buffer.from(put))
}

const changes: readonly Change[] = [
  flip,
  set,
  insert,
  remove,
  repeat,
  move,
  cutOff,
  word,
  word,
  word,
  cross,
  cross,
  length,
  decimal,
]

/** Mostly short. */
function range(bytes: Uint8Array, random: Random): { readonly start: number; readonly end: number } {
  const start = random.below(bytes.length)
  const most = random.oneIn(4) ? bytes.length - start : Math.min(16, bytes.length - start)
  return { start, end: start + Math.min(bytes.length - start, 1 + random.below(most)) }
}
