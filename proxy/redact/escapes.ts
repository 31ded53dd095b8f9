// Reads one escape of a URL, a JSON or JavaScript string, or HTML: %2F, \u002f, \x2f, \/, &#47;, &#x2f;, &sol;.

export const percent = 0x25
export const ampersand = 0x26
export const backslash = 0x5c
const hash = 0x23
const semicolon = 0x3b
const letterU = 0x75
const letterX = 0x78
const zero = 0x30

/** What reading gives: the byte meant and the length of the escape, as one number, or one of the two that follow. */
export type Escape = number
/** It is no escape. */
export const none: Escape = -1
/** It may become one with the bytes that follow. */
export const unfinished: Escape = -2

const made = (byte: number, length: number): Escape => (length << 8) | byte
export const byteOf = (read: Escape) => read & 0xff
export const lengthOf = (read: Escape) => read >> 8

/** No escape that is read here is longer. */
export const longestEscape = 12

/** 1 for the bytes with which escapes begin. */
export const introduces = new Uint8Array(256)
for (const byte of [percent, ampersand, backslash]) introduces[byte] = 1

const hexValue = new Int8Array(256).fill(-1)
for (let digit = 0; digit < 16; digit++) {
  hexValue[digit.toString(16).charCodeAt(0)] = digit
  hexValue[digit.toString(16).toUpperCase().charCodeAt(0)] = digit
}

/** Names that encoders give to characters of credentials; the standard has two thousand more. */
export const entityNames = {
  amp: '&',
  lt: '<',
  gt: '>',
  quot: '"',
  apos: "'",
  sol: '/',
  bsol: '\\',
  plus: '+',
  equals: '=',
  period: '.',
  comma: ',',
  colon: ':',
  semi: ';',
  lowbar: '_',
  num: '#',
  percnt: '%',
  dollar: '$',
  excl: '!',
  quest: '?',
  ast: '*',
  commat: '@',
  lpar: '(',
  rpar: ')',
}
const longestName = 6
/** By the number that the letters make up when they are read as digits. */
const entities = new Map(
  Object.entries(entityNames).map(([name, character]) => [
    Buffer.from(name).reduce((number, letter) => withLetter(number, letter), 0),
    character.charCodeAt(0),
  ]),
)

function withLetter(number: number, letter: number): number {
  return number * 32 + (letter & 31)
}

/** Where the last byte with which an escape may begin stands before `end`, not farther back than an escape is long; -1 when there is none. */
export function introducerBefore(text: Uint8Array, end: number): number {
  const first = Math.max(0, end - longestEscape)
  for (let at = end - 1; at >= first; at--) if (introduces[text[at] ?? 0] === 1) return at
  return -1
}

/**
 * Reads the escape that begins at `at`, where an introducing byte stands, and ends before `end`. A backslash before another
 * backslash, a slash or a quote is an escape of two bytes.
 */
export function readEscape(text: Uint8Array, at: number, end: number): Escape {
  const first = text[at]
  if (first === percent) return readHex(text, at + 1, end, 1)
  if (first === backslash) return readBackslash(text, at, end)
  return readEntity(text, at, end)
}

/** Two hexadecimal digits at `from`, after an introduction of `before` bytes. */
function readHex(text: Uint8Array, from: number, end: number, before: number): Escape {
  if (from >= end) return unfinished
  const high = hexValue[text[from] ?? 0] ?? -1
  if (high === -1) return none
  if (from + 1 >= end) return unfinished
  const low = hexValue[text[from + 1] ?? 0] ?? -1
  return low === -1 ? none : made(high * 16 + low, before + 2)
}

function readBackslash(text: Uint8Array, at: number, end: number): Escape {
  if (at + 1 >= end) return unfinished
  const next = text[at + 1] ?? 0
  if (next === letterX) return readHex(text, at + 2, end, 2)
  if (next === letterU) {
    for (let zeros = at + 2; zeros < at + 4; zeros++) {
      if (zeros >= end) return unfinished
      if (text[zeros] !== zero) return none
    }
    return readHex(text, at + 4, end, 4)
  }
  // \\ \/ \" \'
  return next === backslash || next === 0x2f || next === 0x22 || next === 0x27 ? made(next, 2) : none
}

/** Reads what follows an ampersand at `at`, whatever stands there itself. */
function readEntity(text: Uint8Array, at: number, end: number): Escape {
  if (at + 1 >= end) return unfinished
  if (text[at + 1] === hash) return readNumber(text, at, end)
  let stop = at + 1
  let number = 0
  for (; stop < end && stop <= at + longestName; stop++) {
    const letter = text[stop] ?? 0
    if (letter < 0x61 || letter > 0x7a) break
    number = withLetter(number, letter)
  }
  if (stop === end && stop <= at + longestName + 1) return unfinished
  const byte = text[stop] === semicolon ? entities.get(number) : undefined
  return byte === undefined ? none : made(byte, stop - at + 1)
}

/** `&#47;`, `&#x2f;`, with leading zeros or not. */
function readNumber(text: Uint8Array, at: number, end: number): Escape {
  if (at + 2 >= end) return unfinished
  const inHex = ((text[at + 2] ?? 0) | 0x20) === letterX
  const base = inHex ? 16 : 10
  const first = inHex ? at + 3 : at + 2
  let value = 0
  let stop = first
  for (; stop < end && stop < at + longestEscape - 1; stop++) {
    const digit = hexValue[text[stop] ?? 0] ?? -1
    if (digit === -1 || digit >= base) break
    value = value * base + digit
  }
  if (stop === end && stop < at + longestEscape) return unfinished
  return text[stop] === semicolon && stop > first && value < 256 ? made(value, stop - at + 1) : none
}
