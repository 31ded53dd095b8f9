// What is worth a second look in a configuration that is valid.
import { isIPv4 } from 'node:net'
import { AllowedRanges } from '../forward/address.ts'
import type { Environment } from './outside.ts'
import type { Mistake } from './problems.ts'
import type { Config } from './schema.ts'
import { shadowedRules } from './shadowed.ts'

/** @param environment what credentials of kind `env` are looked up in */
export function warningsOf(config: Config, environment: Environment): Mistake[] {
  return [
    ...identityWarnings(config),
    ...listenWarnings(config),
    ...redirectionWarnings(config),
    ...resolveWarnings(config),
    ...destinationWarnings(config),
    ...credentialWarnings(config, environment),
    ...ruleWarnings(config),
    ...strangerWarnings(config),
    ...budgetWarnings(config),
  ]
}

function identityWarnings({ identity }: Config): Mistake[] {
  if (identity?.source !== 'embedded') return []
  return [{ path: ['identity', 'source'], message: 'embedded is for development: nobody else trusts these identities' }]
}

function listenWarnings({ listen, identity, federation }: Config): Mistake[] {
  const keys = identity?.source !== 'files' || hasTokenKeys(identity.bundles) || Object.keys(federation).length > 0
  return listen.flatMap(({ callers }, index) => {
    const path = ['listen', String(index), 'callers']
    if (callers.length === 0) return [{ path, message: 'nobody can call here, since no proof is accepted' }]
    if (callers.includes('jwt-svid') && !keys)
      return [{ path, message: 'PEM files have no keys of JWT-SVIDs; a SPIFFE bundle document has them' }]
    const ofExec = callers.find((proof) => proof === 'run-token' || proof === 'namespace')
    if (ofExec !== undefined) {
      return [
        { path, message: `${ofExec} is known only where \`postern exec\` opens the listener; here it proves nothing` },
      ]
    }
    return []
  })
}

/** The rules turn both families round to the same port, and DNS with them. */
function redirectionWarnings({ listen, dns }: Config): Mistake[] {
  const redirected = listen.flatMap(({ accept, address }, index) =>
    accept === 'redirected' && address.kind === 'tcp' ? [{ ...address, index }] : [],
  )
  const other: Readonly<Record<string, readonly [string, string]>> = {
    '127.0.0.1': ['::1', 'IPv6'],
    '::1': ['127.0.0.1', 'IPv4'],
  }
  const alone = redirected.flatMap(({ host, port, index }): Mistake[] => {
    const [counterpart, family] = other[host] ?? []
    const both = redirected.some((each) => each.port === port && (each.host === counterpart || each.host === '::'))
    if (counterpart === undefined || both) return []
    const message = `over ${family} everything is refused, since no listener takes ${counterpart} with the same port`
    return [{ path: ['listen', String(index), 'address'], message }]
  })
  const [first] = redirected
  if (first === undefined || dns !== undefined) return alone
  const message = 'nothing answers the DNS of these callers; `dns` says where the proxy does'
  return [...alone, { path: ['listen', String(first.index), 'accept'], message }]
}

/** What is in the files is not looked at; a name that says PEM is believed. */
function hasTokenKeys(bundles: Readonly<Record<string, string>>): boolean {
  return Object.values(bundles).some((path) => !/\.(pem|crt|cer)$/.test(path))
}

function resolveWarnings({ resolve, destinations }: Config): Mistake[] {
  const patterns = Object.values(destinations).flatMap(({ hosts }) => hosts)
  const covered = (host: string) =>
    patterns.some((each) => each === host || (each.startsWith('*.') && host.endsWith(each.slice(1))))
  return Object.keys(resolve)
    .filter((host) => !covered(host))
    .map((host) => ({ path: ['resolve', host], atKey: true, message: 'no destination has this host' }))
}

function destinationWarnings({ destinations, rules }: Config): Mistake[] {
  const reachable = new Set(rules.flatMap(({ allow }) => [allow?.to ?? []].flat()))
  return Object.values(destinations).flatMap(({ name, hosts, addresses, echo }): Mistake[] => {
    const path = ['destinations', name]
    return [
      ...(reachable.has(name) ? [] : [{ path, atKey: true, message: 'no rule allows anybody to go here' }]),
      ...hosts.flatMap((host, index) =>
        /^\*\.[^.]+$/.test(host)
          ? [{ path: [...path, 'hosts', String(index)], message: 'everything below a top-level name' }]
          : [],
      ),
      ...addresses.flatMap((range, index) => {
        const message = rangeWarning(range)
        return message === undefined ? [] : [{ path: [...path, 'addresses', String(index)], message }]
      }),
      ...(echo === 'trusted-echo'
        ? [{ path: [...path, 'echo'], message: 'answers from here are not looked into for the credential' }]
        : []),
    ]
  })
}

const guard = new AllowedRanges([])

/** Wider than a network of one site usually is (RFC 1918 §3, RFC 4193 §3.1: /48 a site). */
const wide = { ipv4: 16, ipv6: 48 } as const

function rangeWarning(range: string): string | undefined {
  const [address = '', bits] = range.split('/')
  if (guard.verdict(address).allowed) return 'public addresses need no mention'
  // All of loopback is one machine.
  if (address.startsWith('127.') || bits === undefined) return undefined
  const least = wide[isIPv4(address) ? 'ipv4' : 'ipv6']
  return Number(bits) < least ? `wider than one network usually is (/${least}); name only what is meant` : undefined
}

function credentialWarnings({ credentials, rules }: Config, environment: Environment): Mistake[] {
  const used = new Set(rules.map(({ use }) => use))
  return Object.entries(credentials).flatMap(([name, credential]): Mistake[] => {
    const path = ['credentials', name]
    const visited = new Set(rules.filter(({ use }) => use === name).flatMap(({ allow }) => [allow?.to ?? []].flat()))
    return [
      ...(used.has(name) ? [] : [{ path, atKey: true, message: 'no rule uses this credential' }]),
      ...credential.for.flatMap((destination, index) =>
        !used.has(name) || visited.has(destination)
          ? []
          : [{ path: [...path, 'for', String(index)], message: 'no rule sends this credential there' }],
      ),
      ...(credential.kind === 'env' && !environment[credential.variable]
        ? [{ path: [...path, 'variable'], message: `${credential.variable} is not set here` }]
        : []),
    ]
  })
}

function ruleWarnings({ rules }: Config): Mistake[] {
  const shadowed = shadowedRules(rules)
  return rules.flatMap(({ allow, deny, mode, when }, index): Mistake[] => {
    const path = ['rules', String(index)]
    const earlier = shadowed.get(index)
    return [
      ...(allow !== undefined && !allow.agents?.length
        ? [{ path: [...path, 'allow'], atKey: true, message: 'names no agents, so it allows nobody' }]
        : []),
      ...(allow !== undefined && !allow.to?.length
        ? [{ path: [...path, 'allow'], atKey: true, message: 'names no destination, so it allows nothing' }]
        : []),
      ...(earlier === undefined
        ? []
        : [{ path, message: `never decides, since \`${earlier}\` before it allows all that it would` }]),
      ...(deny !== undefined && mode !== 'shadow' && when === undefined && Object.keys(deny).length === 0
        ? [{ path: [...path, 'deny'], atKey: true, message: 'denies everything to everybody' }]
        : []),
    ]
  })
}

/** Rules for agents of a trust domain that nothing here verifies. */
function strangerWarnings({ rules, trustDomain, identity, federation }: Config): Mistake[] {
  const local = identity?.source === 'files' ? Object.keys(identity.bundles) : []
  const trusted = new Set<string>([trustDomain, ...local, ...Object.keys(federation)])
  return rules.flatMap(({ allow }, index) =>
    (allow?.agents ?? []).flatMap((agent, at) => {
      const [, domain = trustDomain] = /^spiffe:\/\/([^/]+)/.exec(agent) ?? []
      const path = ['rules', String(index), 'allow', 'agents', String(at)]
      return trusted.has(domain) ? [] : [{ path, message: `nobody of ${domain} can call: it is not in \`federation\`` }]
    }),
  )
}

function budgetWarnings({ budgets, admin, stop }: Config): Mistake[] {
  if (Object.keys(budgets).length === 0 || admin.socket !== undefined || stop.file !== undefined) return []
  return [
    {
      path: ['budgets'],
      message: 'without admin.socket and stop.file they are not written down: a restart fills them again',
    },
  ]
}
