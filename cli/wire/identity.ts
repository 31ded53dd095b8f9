// Whether there is an identity to show: readiness says it, and says why not.
import type { SvidSource } from '../../certs/source.ts'
import type { Readiness } from '../../proxy/record/readiness.ts'

const check = 'identity'

/** Follows the source until the signal is aborted. */
export function followIdentity(source: SvidSource, readiness: Readiness, signal: AbortSignal): void {
  const look = (): void => {
    try {
      source.svid()
      readiness.ready(check)
    } catch (error) {
      readiness.notReady(check, error instanceof Error ? error.message : String(error))
    }
  }
  // Subscribed before the first look, so that nothing happens unseen in between.
  const updates = source.updates(signal)
  look()
  void (async () => {
    for await (const _ of updates) look()
  })()
}
