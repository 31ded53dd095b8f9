// Whether the federated trust domains fit the rest of the configuration. Works on the data as written, as `agreement.ts` does.
import { trustDomainOf } from '../../certs/spiffe-id.ts'
import type { Mistake } from './problems.ts'
import { spiffeId } from './scalars.ts'
import { entriesOf, member, textOf } from './shape.ts'

export function federationDisagreements(data: unknown): Mistake[] {
  const identity = member(data, 'identity')
  const own = textOf(member(data, 'trustDomain'))
  const local = new Set(entriesOf(member(identity, 'bundles')).map(([name]) => name))
  const federation = entriesOf(member(data, 'federation'))
  const known = new Set([own, ...local, ...federation.map(([name]) => name)])
  return federation.flatMap(([name, settings]): Mistake[] => {
    const path = ['federation', name]
    if (identity === undefined)
      return [
        { path, atKey: true, message: 'callers of others are verified beside those of `identity`, which is missing' },
      ]
    if (name === own)
      return [{ path, atKey: true, message: 'this is the own trust domain, whose bundle comes from `identity`' }]
    if (local.has(name)) return [{ path, atKey: true, message: '`identity.bundles` has a bundle of this trust domain' }]
    const source = textOf(member(settings, 'source'))
    if (source === 'workload-api' && textOf(member(identity, 'source')) !== 'workload-api')
      return [{ path: [...path, 'source'], message: '`identity` does not come from a Workload API' }]
    return source === 'https_spiffe' ? unverifiable(name, settings, known) : []
  })
}

/** An endpoint that serves its own trust domain needs something to begin with; another may be of a domain that is trusted anyway. */
function unverifiable(name: string, settings: unknown, known: ReadonlySet<string | undefined>): Mistake[] {
  const id = spiffeId.safeParse(member(settings, 'endpointId'))
  if (!id.success || member(settings, 'bundle') !== undefined) return []
  const domain = trustDomainOf(id.data)
  if (domain !== name && known.has(domain)) return []
  return [
    {
      path: ['federation', name, 'endpointId'],
      message: `there is no bundle of ${domain} to verify the endpoint with`,
      expected: 'a `bundle`',
    },
  ]
}
