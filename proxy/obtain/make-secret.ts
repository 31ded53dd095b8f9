// Text from outside becomes a Secret: what no HTTP field can carry is refused before it is one.
import { Refusal } from '../refusal.ts'
import { Secret } from '../secret.ts'

/** A credential longer than this fits into no request head. Characters. */
export const longestSecret = 16_384

const control = /[\u0000-\u001f\u007f]/

/**
 * @param name of the credential in the configuration
 * @param origin for the record: where the text came from
 * @throws Refusal `credential_unavailable`
 */
export function makeSecret(name: string, text: string, origin: string): Secret {
  const problem = problemOf(text)
  if (problem !== undefined) throw new Refusal('credential_unavailable', { detail: `${origin} ${problem}` })
  return new Secret(name, text)
}

function problemOf(text: string): string | undefined {
  if (text === '') return 'is empty'
  if (text.length > longestSecret) return `is longer than ${longestSecret} characters`
  // CR and LF above all: they would end the header field that it is written into.
  if (control.test(text)) return 'holds a control character'
  if (!text.isWellFormed()) return 'is not well-formed Unicode'
  return undefined
}
