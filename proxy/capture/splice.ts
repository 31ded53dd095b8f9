// Joins two raw connections, each direction ending by itself (half-close), until both have ended or access is withdrawn.
import type { Duplex } from 'node:stream'
import type { Delivered, Signal } from '../exchange.ts'
import { Refusal } from '../refusal.ts'

/**
 * @param signals each withdraws access, for the reason that it is aborted with
 * @returns when both sides have closed; `sent` counts the bytes given to the agent, `received` those that it sent
 */
export function splice(agent: Duplex, upstream: Duplex, ...signals: readonly Signal[]): Promise<Delivered> {
  return new Promise((resolve) => {
    let sent = 0
    let received = 0
    let first: Delivered['ended'] | undefined
    let refusal: Refusal | undefined
    let open = 2
    const cut = () => {
      first ??= 'cut'
      agent.destroy()
      upstream.destroy()
    }
    const closed = (side: Duplex, other: Duplex, ended: Delivered['ended'], clean: boolean) => {
      if (!clean) first ??= ended
      // What one side has not read to its end can no longer be delivered whole.
      if (!clean || !side.readableEnded) other.destroy()
      open -= 1
      if (open > 0) return
      for (const signal of signals) {
        signal.removeEventListener('abort', cut)
        if (signal.aborted && signal.reason instanceof Refusal) refusal ??= signal.reason
      }
      resolve({ ended: first ?? 'complete', refusal, sent, received })
    }
    for (const [side, other, name] of [
      [agent, upstream, 'client_gone'],
      [upstream, agent, 'upstream_gone'],
    ] as const) {
      let clean = true
      side.on('error', (error) => {
        clean = false
        if (!(error instanceof Refusal)) return
        // What is said on it is not to be passed on: it gives a credential back, or cannot be looked into. Or nothing is.
        first ??= error.reason === 'upstream_timeout' ? 'upstream_gone' : 'cut'
        refusal ??= error
      })
      side.on('close', () => closed(side, other, name, clean))
      side.pipe(other)
    }
    upstream.on('data', (chunk: Buffer) => {
      sent += chunk.length
    })
    agent.on('data', (chunk: Buffer) => {
      received += chunk.length
    })
    for (const signal of signals) {
      signal.addEventListener('abort', cut)
      if (signal.aborted) cut()
    }
  })
}
