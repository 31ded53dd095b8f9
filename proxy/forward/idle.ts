// Ends a raw connection on which nothing was said, in either direction, for too long.
import { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { Refusal } from '../refusal.ts'

/** The connection is destroyed with a Refusal `upstream_timeout`, which whoever joins it to another passes on. */
export function endWhenIdle(connection: Duplex, milliseconds: number): void {
  if (!(connection instanceof Socket)) return
  connection.setTimeout(milliseconds, () => {
    connection.destroy(new Refusal('upstream_timeout', { detail: `nothing was said for ${milliseconds} ms` }))
  })
}
