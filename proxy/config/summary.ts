// What a configuration means, in plain words.
import { isIPv6 } from 'node:net'
import type { ListenAddress } from '../capture/settings.ts'
import type { Destination } from '../exchange.ts'
import type { Config } from './schema.ts'

type Rule = Config['rules'][number]
type Match = NonNullable<Rule['allow']>

export interface Summary {
  readonly listeners: readonly { readonly name: string; readonly where: string; readonly callers: readonly string[] }[]
  /** Other trust domains whose workloads may call. */
  readonly federation: readonly { readonly trustDomain: string; readonly source: string }[]
  /** Whom commands of `postern exec` are taken for; absent where it has to be said on the command line. */
  readonly exec?: string
  readonly rules: readonly RuleSummary[]
  readonly credentials: readonly {
    readonly name: string
    readonly source: string
    readonly onlyTo: readonly string[]
  }[]
  readonly destinations: readonly { readonly name: string; readonly where: readonly string[] }[]
  readonly budgets: readonly { readonly name: string; readonly says: string }[]
  readonly records: string
}

export interface RuleSummary {
  readonly name: string
  readonly effect: 'allow' | 'deny'
  /** Evaluated and recorded, without effect. */
  readonly shadow: boolean
  /** One sentence: who may, or may not, do what where. */
  readonly says: string
  /** What else must hold, and what goes along. */
  readonly details: readonly string[]
}

export function summarize(config: Config): Summary {
  return {
    listeners: config.listen.map((listener) => ({
      name: listener.name,
      where: `${addressText(listener.address)} (${listener.accept})`,
      callers: callersOf(listener, config.trustDomain),
    })),
    federation: Object.entries(config.federation).map(([trustDomain, settings]) => ({
      trustDomain,
      source: federatedFrom(settings),
    })),
    ...(config.exec.agent === undefined ? {} : { exec: config.exec.agent }),
    rules: config.rules.map((rule) => summarizeRule(rule, config)),
    credentials: Object.entries(config.credentials).map(([name, credential]) => ({
      name,
      source: sourceOf(credential),
      onlyTo: credential.for,
    })),
    destinations: Object.values(config.destinations).map(({ name, hosts, ports, protocol, addresses, ...mutual }) => ({
      name,
      where: [
        ...hosts.flatMap((host) => ports.map((port) => urlText(protocol, host, port))),
        ...(addresses.length === 0 ? [] : [`also at ${addresses.join(', ')}`]),
        ...provedTo(mutual),
      ],
    })),
    budgets: Object.entries(config.budgets).map(([name, budget]) => ({ name, says: budgetText(budget) })),
    records: config.records.to === 'stdout' ? 'standard output' : config.records.to,
  }
}

function provedTo({ clientCertificate, spiffeId }: Pick<Destination, 'clientCertificate' | 'spiffeId'>): string[] {
  const shown = clientCertificate === 'svid' ? 'its own SVID' : clientCertificate?.certificate
  return [
    ...(shown === undefined ? [] : [`Postern shows ${shown}`]),
    ...(spiffeId === undefined ? [] : [`the host must prove to be ${spiffeId}`]),
  ]
}

export function addressText(address: ListenAddress): string {
  if (address.kind === 'unix') return `unix://${address.path}`
  return `${bracketed(address.host)}:${address.port === 0 ? 'any free port' : address.port}`
}

const bracketed = (host: string) => (isIPv6(host) ? `[${host}]` : host)

const usualPorts: Readonly<Record<string, number>> = { https: 443, http: 80 }

function urlText(protocol: string, host: string, port: number): string {
  if (protocol === 'opaque') return `${bracketed(host)}:${port} unseen`
  return `${protocol}://${bracketed(host)}${usualPorts[protocol] === port ? '' : `:${port}`}`
}

function callersOf(listener: Config['listen'][number], trustDomain: string): string[] {
  const { accept, callers, agent, uids, executables, containers } = listener
  const noneNamed = [uids, executables, containers].every((each) => each === undefined)
  const confirmed = accept === 'http-proxy' ? ', if the kernel confirms it' : ''
  const lines = callers.flatMap((proof) => {
    if (proof === 'x509-svid') return ['whoever presents a valid X509-SVID, as the ID in it']
    if (proof === 'jwt-svid') return [`whoever presents a valid JWT-SVID, as the ID in it${confirmed}`]
    if (proof === 'kubernetes-token')
      return [`whoever presents a valid service-account token, as spiffe://${trustDomain}/ns/…/sa/…${confirmed}`]
    if (proof === 'run-token' || proof === 'namespace') return ['commands that postern exec starts']
    return [
      ...Object.entries(containers ?? {}).map(([container, id]) => `processes in container ${container}, as ${id}`),
      ...Object.entries(executables ?? {}).map(([path, id]) => `processes of ${path}, as ${id}`),
      ...Object.entries(uids ?? {}).map(([uid, id]) => `processes of user ${uid}, as ${id}`),
      ...(agent === undefined ? [] : [`any ${noneNamed ? '' : 'other '}process on this machine, as ${agent}`]),
    ]
  })
  return lines.length === 0 ? ['nobody'] : lines
}

function summarizeRule(rule: Rule, config: Config): RuleSummary {
  const effect = rule.allow === undefined ? 'deny' : 'allow'
  const match = rule.allow ?? rule.deny ?? {}
  return {
    name: rule.name,
    effect,
    shadow: rule.mode === 'shadow',
    says: `${subject(match, effect)} ${deed(match, config)}`,
    details: [...conditionsOf(rule, match), ...goesAlong(rule)],
  }
}

function subject({ agents }: Match, effect: 'allow' | 'deny'): string {
  if (effect === 'allow') return agents === undefined || agents.length === 0 ? 'nobody may' : `${agents.join(', ')} may`
  return agents === undefined ? 'nobody may' : `${agents.join(', ')} may not`
}

function deed({ methods, paths, to }: Match, config: Config): string {
  const names = to === undefined ? [] : typeof to === 'string' ? [to] : to
  const where = names.length === 0 ? 'anywhere' : `at ${names.join(', ')}`
  if (names.length > 0 && names.every((name) => config.destinations[name]?.protocol === 'opaque')) {
    return `open tunnels ${where}`
  }
  const objects = paths === undefined ? 'any path' : paths.join(' or ') || 'no path'
  if (methods === undefined || methods.includes('*')) return `use any method on ${objects} ${where}`
  return `${methods.join(' or ') || 'use no method on'} ${objects} ${where}`
}

function conditionsOf(rule: Rule, match: Match): string[] {
  const values = (kind: string, expected: Match['query']) =>
    Object.entries(expected ?? {}).map(([key, value]) =>
      typeof value === 'string' ? `with the ${kind} ${key} like ${value}` : `without the ${kind} ${key}`,
    )
  return [
    ...(match.principals === undefined ? [] : [`on behalf of ${match.principals.join(' or ') || 'nobody'}`]),
    ...values('query key', match.query),
    ...values('header', match.headers),
    ...(rule.when === undefined ? [] : [`when ${rule.when}`]),
    ...(rule.proof === undefined ? [] : [`proved by ${rule.proof.join(' and ')}`]),
    ...(rule.requires === undefined ? [] : [`where every hop holds ${rule.requires.join(', ')}`]),
  ]
}

function goesAlong({ use, inject, limit }: Rule): string[] {
  return [
    ...(use === undefined ? [] : [`carrying ${use} ${placement(inject ?? 'bearer')}`]),
    ...(inject === 'agent' ? ['with the credential that the agent itself sends'] : []),
    ...(limit === undefined ? [] : [`at most ${limit}`]),
  ]
}

function placement(inject: NonNullable<Rule['inject']>): string {
  if (inject === 'basic') return 'as basic authorization'
  if (inject === 'placeholder') return standIn([])
  if (typeof inject === 'string') return 'as a bearer token'
  if ('header' in inject) return `in the header ${inject.header}`
  if ('query' in inject) return `in the query key ${inject.query}`
  if ('cookie' in inject) return `in the cookie ${inject.cookie}`
  return standIn([inject.placeholder.env ?? []].flat())
}

const standIn = (variables: readonly string[]) =>
  `in the place of a stand-in that ${variables.length === 0 ? 'the agent holds' : `\`postern exec\` puts into ${variables.join(', ')}`}`

function federatedFrom(settings: Config['federation'][string]): string {
  switch (settings.source) {
    case 'file':
      return `from the file ${settings.path}`
    case 'workload-api':
      return 'from the Workload API'
    case 'https_web':
      return `from ${settings.url}`
    case 'https_spiffe':
      return `from ${settings.url}, if that is ${settings.endpointId}`
  }
}

function sourceOf(credential: Config['credentials'][string]): string {
  switch (credential.kind) {
    case 'env':
      return `from the environment variable ${credential.variable}`
    case 'file':
      return `from the file ${credential.path}`
    case 'exec':
      return `printed by ${credential.command[0]}`
    default:
      return `${credential.kind} from ${credential.tokenEndpoint ?? credential.issuer ?? 'its token server'}`
  }
}

const sharers = {
  agent: 'each agent',
  user: 'each user',
  root: 'each first agent of a chain, for each whom it acts for,',
  txn: 'each transaction',
} as const

function budgetText({
  per,
  every,
  for: match,
  requests,
  responseBytes,
  paths,
  cost,
}: Config['budgets'][string]): string {
  const bounds = [
    ...(requests === undefined ? [] : [`${requests} requests`]),
    ...(responseBytes === undefined ? [] : [`${responseBytes} bytes of answers`]),
    ...(paths === undefined ? [] : [`${paths} paths`]),
    ...(cost === undefined ? [] : [`${cost.units} units of cost`]),
  ]
  const to = [match.to ?? []].flat()
  const narrowed = Object.keys(match).some((key) => key !== 'to') ? ', for some requests' : ''
  return `${sharers[per]} may use ${bounds.join(', ')} in ${windowText(every)}${to.length === 0 ? '' : ` at ${to.join(', ')}`}${narrowed}`
}

function windowText(milliseconds: number): string {
  const [unit, size] = windowUnits.find(([, size]) => milliseconds % size === 0) ?? (['ms', 1] as const)
  return `${milliseconds / size}${unit}`
}

const windowUnits = [
  ['d', 86_400_000],
  ['h', 3_600_000],
  ['m', 60_000],
  ['s', 1_000],
] as const

/** The summary as lines for a terminal. */
export function summaryLines(summary: Summary): string[] {
  const { listeners, federation, exec, rules, credentials, destinations, budgets, records } = summary
  return [
    ...section('Agents', [...listeners, ...commandsOf(exec)], ({ name, where, callers }) => [
      `${name}: ${where}`,
      ...callers.map(indent),
    ]),
    ...(federation.length === 0
      ? []
      : section('Workloads of other trust domains', federation, ({ trustDomain, source }) => [
          `${trustDomain}: its bundle ${source}`,
        ])),
    ...section('Rules (any that denies refuses; else the first that allows decides)', rules, (rule) => [
      `${rule.effect === 'allow' ? '✓' : '✗'} ${rule.name}${rule.shadow ? ' (shadow: without effect)' : ''}`,
      indent(rule.says),
      ...rule.details.map((detail) => indent(indent(detail))),
    ]),
    ...section('Credentials', credentials, ({ name, source, onlyTo }) => [
      `${name}: ${source}; only ever sent to ${onlyTo.join(', ')}`,
    ]),
    ...section('Destinations', destinations, ({ name, where }) => [`${name}: ${where.join(', ')}`]),
    ...(budgets.length === 0 ? [] : section('Budgets', budgets, ({ name, says }) => [`${name}: ${says}`])),
    `Records go to ${records}.`,
  ]
}

const commandsOf = (agent: string | undefined) =>
  agent === undefined ? [] : [{ name: 'postern exec', where: 'the command that it starts', callers: [`as ${agent}`] }]

const indent = (line: string) => `  ${line}`

function section<Item>(title: string, items: readonly Item[], lines: (item: Item) => string[]): string[] {
  return [title, ...(items.length === 0 ? ['  none'] : items.flatMap(lines).map(indent)), '']
}
