// How often one source may begin a TLS handshake, and one caller have a leaf made: both are signatures, on the one thread that serves all.
import { Limiter, parseLimit } from '../../policy/limits.ts'

export const rateLimits: Readonly<Record<'handshakes' | 'leaves', Rate>> = {
  /** Handshakes from one address in ten seconds. */
  handshakes: { count: 2_000, seconds: 10 },
  /** Leaves for new hosts, for one caller, in ten seconds. */
  leaves: { count: 200, seconds: 10 },
}

interface Rate {
  readonly count: number
  readonly seconds: number
}

/** A bucket for each, which is full at first and refills evenly. */
export function rate({ count, seconds }: Rate): Limiter {
  return new Limiter({ ...parseLimit(`${count}/second per agent`), window: seconds * 1_000 })
}
