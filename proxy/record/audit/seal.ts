// How a line of the records is tied to the one before: `seq` and `prev` are its last members, and the bytes written are the bytes hashed.
import { hash } from 'node:crypto'

/** What ties a line into its trail. */
export interface Seal {
  /** Number of the line in its trail, from 1. */
  readonly seq: number
  /** Hash of the line before; of the trail's id in the first one. */
  readonly prev: string
  /** Id of the trail: in its first line, and in every line where several processes share a file. */
  readonly trail?: string | undefined
}

/** Base64url of the SHA-256 over the bytes of a line, without its line end. */
export const hashOf = (line: string | Uint8Array): string => hash('sha256', line, 'base64url')

/** @param line a JSON object with at least one member */
export function sealed(line: string, seq: number, prev: string, trail?: string): string {
  const own = trail === undefined ? '' : `,"trail":"${trail}"`
  return `${line.slice(0, -1)},"seq":${seq},"prev":"${prev}"${own}}`
}

const ending = /,"seq":([1-9]\d{0,15}),"prev":"([A-Za-z0-9_-]{43})"(?:,"trail":"([A-Za-z0-9_-]{22})")?\}$/
const inside = /,"seq":[1-9]\d{0,15},"prev":"[A-Za-z0-9_-]{43}"(?:,"trail":"[A-Za-z0-9_-]{22}")?\}./s

/** Longer than the longest seal. */
export const longestSeal = 128

/** The seal at the end of a line; undefined: it has none. No more than the end is looked at. */
export function sealOf(line: Buffer): Seal | undefined {
  const found = ending.exec(line.toString('latin1', Math.max(0, line.length - longestSeal)))
  if (found === null) return undefined
  const [, seq, prev, trail] = found
  const number = Number(seq)
  return prev === undefined || !Number.isSafeInteger(number) ? undefined : { seq: number, prev, trail }
}

/** A whole line with something behind it, which no torn line is. */
export const goesOnAfterSeal = (text: string): boolean => inside.test(text)
