// Keyed fingerprints of secrets, each worked out once.
import type { Secret } from '../secret.ts'

/** @param key at least 32 random bytes; with another key the same secret has another fingerprint */
export function fingerprinter(key: Uint8Array): (secret: Secret) => string {
  const known = new WeakMap<Secret, string>()
  return (secret) => {
    const old = known.get(secret)
    if (old !== undefined) return old
    const made = secret.fingerprint(key)
    known.set(secret, made)
    return made
  }
}
