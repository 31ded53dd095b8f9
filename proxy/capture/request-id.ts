// Time-ordered identifiers of requests and connections: UUID version 7 (RFC 9562 §5.7).
import { randomBytes } from 'node:crypto'

/** Random hexadecimal digits, drawn many at a time. */
let digits = ''
let used = 0
const each = 20

let millisecond = Number.NaN
let time = ''

/** @param now epoch milliseconds */
export function requestId(now: number): string {
  if (used === digits.length) {
    digits = randomBytes(200 * each).toString('hex')
    used = 0
  }
  if (now !== millisecond) {
    const stamp = Math.trunc(now).toString(16).padStart(12, '0')
    time = `${stamp.slice(0, 8)}-${stamp.slice(8)}-7`
    millisecond = now
  }
  const at = used
  used += each
  const variant = '89ab'.charAt(Number.parseInt(digits.charAt(at), 16) & 0x3)
  return `${time}${digits.slice(at + 1, at + 4)}-${variant}${digits.slice(at + 4, at + 7)}-${digits.slice(at + 7, at + 19)}`
}
