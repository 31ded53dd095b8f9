// Tells when a redirected caller had connected to an address that is none of the host's: an allowed name on the way to elsewhere.
import type { Connection, Finding, Target } from '../exchange.ts'

const none: readonly Finding[] = Object.freeze([])

/**
 * The request has gone to the host's own address; this only says that its caller had another one in mind.
 * @param resolved addresses of the host, as this proxy resolved it
 */
export function mismatch(
  { original }: Connection,
  { host }: Pick<Target, 'host'>,
  resolved: readonly string[] | undefined,
): readonly Finding[] {
  if (original === undefined || resolved === undefined || original.names.includes(host)) return none
  if (resolved.includes(original.address)) return none
  return [{ kind: 'address_mismatch', where: 'connection', note: `connected to ${original.address}` }]
}
