// What must hold before any credential is put into a request.
import type { Credentialed } from '../exchange.ts'
import type { Lease } from '../obtain/provider.ts'
import { Refusal } from '../refusal.ts'

/** Names of the destinations that each credential is for, by name of the credential. */
export type Bindings = ReadonlyMap<string, ReadonlySet<string>>

/**
 * @returns the credential, which may go where the request goes
 * @throws Refusal `credential_unavailable`, `credential_not_bound`, `placement_conflict`
 */
export function leaseFor({ lease, method, destination, target, grant }: Credentialed, bindings: Bindings): Lease {
  // A rule that asks for a credential never sends a request without it.
  if (lease === undefined)
    throw new Refusal('credential_unavailable', { rule: grant.rule, detail: 'none was obtained' })
  if (bindings.get(lease.credential)?.has(destination.name) !== true)
    throw new Refusal('credential_not_bound', { detail: `${lease.credential} is not for ${destination.name}` })
  // Whoever is asked this way gives back the request itself (RFC 9110 §9.3.6, §9.3.8).
  if (method === 'TRACE' || method === 'CONNECT')
    throw new Refusal('placement_conflict', { detail: `no credential goes with ${method}` })
  if (target.scheme !== 'https' && !(destination.protocol === 'http' && isLoopback(target.host)))
    throw new Refusal('credential_not_bound', { detail: 'no credential goes over cleartext, but to loopback' })
  return lease
}

/** Names that mean this machine whatever a resolver says (RFC 6761 §6.3), and its addresses. */
function isLoopback(host: string): boolean {
  return host === 'localhost' || host.endsWith('.localhost') || host === '::1' || /^127(\.\d{1,3}){3}$/.test(host)
}
