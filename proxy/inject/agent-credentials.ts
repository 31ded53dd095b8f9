// Findings about credentials that the agent itself sends: together they are the inventory of static secrets.
import type { Finding } from '../exchange.ts'
import { Secret } from '../secret.ts'

/** Keyed; tells two values apart. */
export type Fingerprint = (secret: Secret) => string

/** @param where such as `header:authorization`, `query:key`, `cookie:sid` */
export function agentCredential(
  kind: 'agent_credential_removed' | 'agent_credential_passed',
  where: string,
  value: string,
  fingerprint: Fingerprint,
): Finding {
  return { kind, where, fingerprint: fingerprint(new Secret('credential of the agent', withoutScheme(value))) }
}

/** The same key has the same fingerprint with and without `Bearer` before it. */
function withoutScheme(value: string): string {
  return /^[A-Za-z][A-Za-z0-9-]* +(\S+)$/.exec(value)?.[1] ?? value
}
