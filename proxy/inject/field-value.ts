// Makes sure that a secret can stand in a header field as it is.
import { Refusal } from '../refusal.ts'
import type { Secret } from '../secret.ts'

/** Visible characters, and spaces and tabs only between them (RFC 9110 §5.5). */
const pattern = /^[\x21-\x7e\x80-\xff](?:[\t\x20-\x7e\x80-\xff]*[\x21-\x7e\x80-\xff])?$/
const checked = new WeakSet<Secret>()

/**
 * @returns the secret in clear
 * @throws Refusal `credential_unavailable` when it would break the field, or end up as other bytes than its own
 */
export function fieldValue(secret: Secret): string {
  const value = secret.reveal()
  if (!checked.has(secret)) {
    if (!pattern.test(value)) throw unwritable(secret, 'a header field')
    checked.add(secret)
  }
  return value
}

export function unwritable(secret: Secret, place: string): Refusal {
  return new Refusal('credential_unavailable', { detail: `${secret.name} cannot be written into ${place}` })
}
