// Text for a terminal: nothing in a record can steer it, and colour only where somebody sees it.

/** Control characters, and what changes the direction of text, are shown instead of obeyed. */
export function harmless(text: string): string {
  return text.replace(
    /[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
}

const codes = { red: 31, green: 32, yellow: 33, grey: 90, bold: 1 } as const

export type Colour = keyof typeof codes

export type Paint = (text: string, colour: Colour) => string

export const plain: Paint = (text) => text

export const painted: Paint = (text, colour) => `\x1b[${codes[colour]}m${text}\x1b[0m`

/** See https://no-color.org: present and not empty means no colour. */
export function paintFor(isTerminal: boolean, noColor: string | undefined): Paint {
  return isTerminal && (noColor === undefined || noColor === '') ? painted : plain
}

/** @returns a time such as 4 µs, 0.4 ms, 12 ms, 3.4 s, 2 min 5 s, 3 h 4 min */
export function spanOfTime(milliseconds: number): string {
  if (milliseconds > 0 && milliseconds < 0.1) return `${Math.ceil(milliseconds * 1_000)} µs`
  if (milliseconds < 10) return `${Number(milliseconds.toFixed(milliseconds < 1 ? 2 : 1))} ms`
  if (milliseconds < 1_000) return `${Math.round(milliseconds)} ms`
  const seconds = milliseconds / 1_000
  if (seconds < 60) return `${Number(seconds.toFixed(1))} s`
  if (seconds < 3_600) return `${Math.floor(seconds / 60)} min ${Math.floor(seconds % 60)} s`
  return `${Math.floor(seconds / 3_600)} h ${Math.floor((seconds % 3_600) / 60)} min`
}
