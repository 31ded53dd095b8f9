// Authorization: Basic … (RFC 7617).
import type { Lease } from '../obtain/provider.ts'
import { Refusal } from '../refusal.ts'
import { Secret } from '../secret.ts'
import type { Draft } from './draft.ts'
import { unwritable } from './field-value.ts'
import type { Writer } from './writer.ts'

interface Pair {
  readonly username: string
  /** Both halves as they are written. */
  readonly written: Secret
}

/** One for each password, so that what is made for the scanner is made once. */
const pairs = new WeakMap<Secret, Pair>()

export const basic: Writer = {
  kind: 'basic',
  field: 'authorization',
  write({ credential, username, secret }: Lease, { headers }: Draft) {
    if (username === undefined)
      throw new Refusal('credential_unavailable', { detail: `${credential} has no user name, which basic needs` })
    const written = writtenAsBasic(username, secret)
    headers.push('authorization', `Basic ${written.reveal()}`)
    return [secret, written]
  },
}

/**
 * @returns user name and password in base64; the same object for the same pair
 * @throws Refusal `credential_unavailable`
 */
export function writtenAsBasic(username: string, secret: Secret): Secret {
  const present = pairs.get(secret)
  if (present?.username === username) return present.written
  const password = secret.reveal()
  // §2: no colon in the user name, no control characters in either.
  if (password === '' || username.includes(':') || /[\0-\x1f\x7f]/.test(username + password))
    throw unwritable(secret, 'a Basic credential')
  const encoded = Buffer.from(`${username}:${password}`, 'utf8').toString('base64')
  const written = new Secret(`${secret.name} as Basic`, encoded)
  pairs.set(secret, { username, written })
  return written
}
