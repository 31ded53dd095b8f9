// The steps of a rotation: announce, show, forget. At no time is a certificate shown whose authority the API server
// was not told of before.
import { type Pair, validityOf } from './pair.ts'

/** What the replicas share. Times are epoch milliseconds. */
export interface Stored {
  /** Shown now. */
  readonly current?: Pair
  /** Announced in caBundle and not shown yet. */
  readonly next?: Pair & { readonly announcedAt: number }
  /** Authority of what was shown before; some replica may show it still. */
  readonly previous?: { readonly ca: string; readonly replacedAt: number }
}

export interface PlanOptions {
  readonly now: number
  /** Milliseconds between announcing and showing. */
  readonly settle: number
  /** Milliseconds for which the authority of before is kept. */
  readonly overlap: number
  readonly make: () => Pair
}

/** What is to be stored next, after caBundle has been made to say `authorities`; the same object when nothing is due. */
export function plan(stored: Stored, { now, settle, overlap, make }: PlanOptions): Stored {
  const { current, next, previous } = stored
  const validity = current === undefined ? undefined : readable(current)
  // Nothing that could be shown in the meantime.
  if (current === undefined || validity === undefined || validity.to <= now) return { current: make() }
  if (next !== undefined) {
    const usable = readable(next)
    if (usable === undefined || usable.to <= now) return { current, ...(previous === undefined ? {} : { previous }) }
    if (now - next.announcedAt < settle) return stored
    const { announcedAt: _, ...pair } = next
    return { current: pair, previous: { ca: current.ca, replacedAt: now } }
  }
  if (previous !== undefined && now - previous.replacedAt >= overlap) return { current }
  const renewAt = validity.from + ((validity.to - validity.from) * 2) / 3
  return now < renewAt ? stored : { ...stored, next: { ...make(), announcedAt: now } }
}

/** What caBundle must say, in this order. */
export function authorities({ current, next, previous }: Stored): string[] {
  return [current?.ca, next?.ca, previous?.ca].flatMap((pem) => pem ?? [])
}

function readable(pair: Pair) {
  try {
    return validityOf(pair)
  } catch {
    return undefined
  }
}
