// Gets the credential that the deciding rule names; without one, the request goes on as it is.
import type { Authorized, Credentialed, Signal } from '../exchange.ts'
import type { Credentials, Lease, Need } from './provider.ts'

/** @throws Refusal `credential_unavailable`, `consent_required` */
export function obtain(
  authorized: Authorized,
  credentials: Credentials,
  signal: Signal,
): Credentialed | Promise<Credentialed> {
  const name = authorized.grant.credential
  if (name === undefined) return { ...authorized, lease: undefined }
  const lease = credentials.obtain(name, needOf(authorized), signal)
  return lease instanceof Promise
    ? lease.then((fresh) => credentialed(authorized, fresh))
    : credentialed(authorized, lease)
}

export function needOf({ caller, principal, chain, destination }: Authorized): Need {
  return { caller, principal, chain, destination }
}

function credentialed(authorized: Authorized, lease: Lease): Credentialed {
  return { ...authorized, lease }
}
