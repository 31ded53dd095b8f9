// Parts of the configuration that are right by themselves and must fit together.
// Works on the data as written, so that everything can be told at once, whatever else is wrong.
import { trustDomainOf } from '../../certs/spiffe-id.ts'
import { destinationSchema } from '../forward/settings.ts'
import type { Mistake } from './problems.ts'
import { boundTo, destinationsOf } from './references.ts'
import { spiffeId, trustDomain } from './scalars.ts'
import { entriesOf, itemsOf, member, textOf } from './shape.ts'

type Place = ReturnType<typeof destinationSchema.parse>

export function disagreements(data: unknown): Mistake[] {
  return [
    ...unboundCredentials(data),
    ...sharedHosts(data),
    ...foreignAgents(data),
    ...missingIdentity(data),
    ...untrustedHosts(data),
    ...missingCluster(data),
    ...sharedVariables(data),
  ]
}

/** Destinations that are right by themselves, by name. */
function placesIn(data: unknown): ReadonlyMap<string, Place> {
  return new Map(
    entriesOf(member(data, 'destinations')).flatMap(([name, written]) => {
      const place = destinationSchema.safeParse(written)
      return place.success ? [[name, place.data] as const] : []
    }),
  )
}

/** A credential goes only where it is bound to, and never where others could read it on the way. */
function unboundCredentials(data: unknown): Mistake[] {
  const places = placesIn(data)
  const known = new Set(entriesOf(member(data, 'destinations')).map(([name]) => name))
  const credentials = new Map(entriesOf(member(data, 'credentials')))
  return itemsOf(member(data, 'rules')).flatMap((rule, index) => {
    const path = ['rules', String(index)]
    const use = textOf(member(rule, 'use'))
    const credential = use === undefined ? undefined : credentials.get(use)
    if (use === undefined || credential === undefined) return []
    const bound = boundTo(credential, ['credentials', use]).map(({ name }) => name)
    return destinationsOf(rule, path).flatMap(({ name, path: at }): Mistake[] => {
      if (!known.has(name)) return []
      if (!bound.includes(name)) {
        return [
          {
            path: at,
            message: `the rule uses \`${use}\`, which is not for \`${name}\``,
            expected: `\`${name}\` in \`for\` of the credential, or another rule`,
          },
        ]
      }
      const place = places.get(name)
      if (place?.protocol === 'opaque') {
        return [
          { path: at, message: `the rule uses \`${use}\`, but nothing can be put into \`${name}\`, which is opaque` },
        ]
      }
      if (place?.protocol === 'http' && !place.hosts.every(isLoopback)) {
        return [
          {
            path: at,
            message: `the rule uses \`${use}\`, which would go to \`${name}\` in clear; http is for hosts on loopback only`,
          },
        ]
      }
      return []
    })
  })
}

/** Names that mean this machine whatever a resolver says (RFC 6761 §6.3), and its addresses. */
function isLoopback(host: string): boolean {
  if (host.startsWith('*.')) return host.endsWith('.localhost')
  return host === 'localhost' || host.endsWith('.localhost') || host === '::1' || /^127(\.\d{1,3}){3}$/.test(host)
}

/** A place has one name, or a request would have two destinations. */
function sharedHosts(data: unknown): Mistake[] {
  const owners = new Map<string, string>()
  return [...placesIn(data)].flatMap(([name, { hosts, ports }]) =>
    hosts.flatMap((host, index) => {
      const others = ports.flatMap((port) => owners.get(`${host}:${port}`) ?? [])
      for (const port of ports) owners.set(`${host}:${port}`, name)
      const [other] = others
      if (other === undefined || other === name) return []
      return [
        {
          path: ['destinations', name, 'hosts', String(index)],
          message: `\`${other}\` has this host with the same port`,
        },
      ]
    }),
  )
}

/** What the kernel vouches for is on this machine, so its identity is of our own trust domain. */
function foreignAgents(data: unknown): Mistake[] {
  const own = trustDomain.safeParse(member(data, 'trustDomain'))
  if (!own.success) return []
  const mapped = itemsOf(member(data, 'listen')).flatMap((listener, index) => [
    { id: member(listener, 'agent'), path: ['listen', String(index), 'agent'] },
    ...['uids', 'executables', 'containers'].flatMap((key) =>
      entriesOf(member(listener, key)).map(([who, id]) => ({ id, path: ['listen', String(index), key, who] })),
    ),
  ])
  return [...mapped, { id: member(member(data, 'exec'), 'agent'), path: ['exec', 'agent'] }].flatMap(({ id, path }) => {
    const parsed = spiffeId.safeParse(id)
    if (!parsed.success || trustDomainOf(parsed.data) === own.data) return []
    return [
      { path, message: 'an agent on this machine is of our own trust domain', expected: `spiffe://${own.data}/…` },
    ]
  })
}

function missingIdentity(data: unknown): Mistake[] {
  if (member(data, 'identity') !== undefined) return []
  const showing = itemsOf(member(data, 'listen')).flatMap((listener, index) =>
    member(listener, 'accept') === 'https-proxy' ? [['listen', String(index), 'accept']] : [],
  )
  // On an https-proxy it has been told already.
  const verifying = [
    ...showing,
    ...acceptedAs(data, 'jwt-svid').filter(([, at]) => !showing.some(([, other]) => other === at)),
  ]
  const proving = entriesOf(member(data, 'credentials')).flatMap(([name, credential]) => {
    const client = member(credential, 'client')
    return member(client, 'auth') === 'jwt-spiffe' ? [['credentials', name, 'client', 'auth']] : []
  })
  const places = entriesOf(member(data, 'destinations'))
  const shown = places.flatMap(([name, place]) =>
    member(place, 'clientCertificate') === 'svid' ? [['destinations', name, 'clientCertificate']] : [],
  )
  const demanded = places.flatMap(([name, place]) =>
    member(place, 'spiffeId') === undefined ? [] : [['destinations', name, 'spiffeId']],
  )
  return [
    ...verifying.map((path) => ({
      path,
      message: 'callers are verified against the bundles of `identity`, which is missing',
    })),
    ...[...proving, ...shown].map((path) => ({
      path,
      message: 'the proxy proves who it is with its `identity`, which is missing',
    })),
    ...demanded.map((path) => ({
      path,
      message: 'the host is verified against the bundles of `identity`, which is missing',
    })),
  ]
}

/** A host of a domain whose bundle nobody names could never prove who it is. */
function untrustedHosts(data: unknown): Mistake[] {
  const own = trustDomain.safeParse(member(data, 'trustDomain'))
  if (!own.success || member(data, 'identity') === undefined) return []
  const bundles = [member(member(data, 'identity'), 'bundles'), member(data, 'federation')]
  const trusted = new Set([own.data, ...bundles.flatMap((named) => entriesOf(named).map(([domain]) => domain))])
  return entriesOf(member(data, 'destinations')).flatMap(([name, place]): Mistake[] => {
    const id = spiffeId.safeParse(member(place, 'spiffeId'))
    if (!id.success || trusted.has(trustDomainOf(id.data))) return []
    const message = 'there is no bundle of this trust domain to verify the host by'
    return [{ path: ['destinations', name, 'spiffeId'], message, expected: 'its trust domain in `federation`' }]
  })
}

function missingCluster(data: unknown): Mistake[] {
  if (member(data, 'kubernetes') !== undefined) return []
  return acceptedAs(data, 'kubernetes-token').map((path) => ({
    path,
    message: 'service-account tokens are verified with the keys of `kubernetes`, which is missing',
  }))
}

/** Where a listener accepts this proof. */
function acceptedAs(data: unknown, proof: string): string[][] {
  return itemsOf(member(data, 'listen')).flatMap((listener, index) => {
    const at = itemsOf(member(listener, 'callers')).indexOf(proof)
    return at === -1 ? [] : [['listen', String(index), 'callers', String(at)]]
  })
}

/** A variable of the command holds one stand-in, and a stand-in is worth something at one destination and place only. */
function sharedVariables(data: unknown): Mistake[] {
  const holders = new Map<string, string>()
  return itemsOf(member(data, 'rules')).flatMap((rule, index) => {
    const rulePath = ['rules', String(index)]
    const placeholder = member(member(rule, 'inject'), 'placeholder')
    const env = member(placeholder, 'env')
    const path = [...rulePath, 'inject', 'placeholder', 'env']
    const destinations = destinationsOf(rule, rulePath).map(({ name }) => name)
    if (env !== undefined && destinations.length > 1) {
      return [{ path, message: 'a stand-in is for one destination, and this rule names several' }]
    }
    const holder = JSON.stringify([
      member(rule, 'use'),
      destinations,
      member(placeholder, 'in'),
      member(placeholder, 'shape'),
    ])
    return [env].flat().flatMap((variable): Mistake[] => {
      if (typeof variable !== 'string') return []
      const first = holders.get(variable) ?? holder
      holders.set(variable, first)
      return first === holder ? [] : [{ path, message: `an earlier rule puts another stand-in into ${variable}` }]
    })
  })
}
