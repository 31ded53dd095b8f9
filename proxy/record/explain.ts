// Tells one record as a story, in sentences: who, what, which rule, which credential, what was found, where the time went, what next.
import { type Reason, reasons } from '../refusal.ts'
import { eventOf } from './events.ts'
import type { AuditRecord } from './line.ts'
import { requestOf } from './table.ts'
import { harmless, type Paint, spanOfTime } from './terminal-text.ts'

/** @returns lines, ready to be printed */
export function explain(record: AuditRecord, paint: Paint): string[] {
  const sentences: [string, string | undefined][] = [
    ['Who', who(record)],
    ['For', onBehalf(record)],
    ['What', what(record)],
    ['Rule', rule(record)],
    ['Why', why(record)],
    ['Shadow', shadow(record)],
    ['Budgets', budgets(record)],
    ['Credential', credential(record)],
    ['Found', found(record)],
    ['Answer', answer(record)],
    ['Time', time(record)],
    ['Next', next(record)],
  ]
  const told = sentences.flatMap(([title, text]) =>
    text === undefined ? [] : [`${paint(title.padEnd(11), 'bold')}${harmless(text)}`],
  )
  return [paint(harmless(summary(record)), headlineColour(record)), '', ...told]
}

function summary(record: AuditRecord): string {
  const { kind, id, time, outcome, response, refusal, lost } = record
  const when = `${time.slice(0, 10)} ${time.slice(11, 23)} UTC`
  switch (kind) {
    case 'gap':
      return `At ${when}, ${lost ?? 0} records could not be written and are lost.`
    case 'intent':
      return `Request ${id} of ${when} was let through; no outcome has been written, so it is under way or the proxy was killed.`
    case 'delegation':
    case 'stop':
    case 'checkpoint':
    case 'audit':
      return `At ${when}: ${eventOf(record)?.text ?? kind}.`
    default: {
      const status = response?.status === undefined ? '' : ` with status ${response.status}`
      const why = refusal === undefined ? '' : `: ${refusal.reason}. ${rowOf(refusal.reason)?.title ?? ''}`
      const noun = { request: 'Request', tunnel: 'Tunnel', connection: 'Connection' }[kind]
      return `${noun} ${id} of ${when} ${outcomes[outcome ?? 'failed']}${status}${why === '' ? '.' : why}`
    }
  }
}

/** undefined for a reason of a later version. */
function rowOf(reason: Reason) {
  return Object.hasOwn(reasons, reason) ? reasons[reason] : undefined
}

const outcomes = { allowed: 'was allowed', refused: 'was refused', failed: 'failed' } as const

function headlineColour({ outcome }: AuditRecord) {
  return outcome === 'refused' ? 'red' : outcome === 'allowed' ? 'green' : 'yellow'
}

function originalOf({ connection }: AuditRecord): string {
  const original = connection?.original
  return original === undefined ? '' : `, which had connected to ${original.address} port ${original.port}`
}

function who(record: AuditRecord): string | undefined {
  const { caller, listener, connection } = record
  if (eventOf(record) !== undefined) return undefined
  const by = `${listener === undefined ? '' : ` It came in by listener ${listener}`}${connection?.address === undefined ? '' : ` from ${connection.address} port ${connection.port ?? 0}`}${originalOf(record)}`
  if (caller === undefined) return `The caller could not be told.${by === '' ? '' : `${by}.`}`
  const facts = [
    caller.serial === undefined ? '' : `certificate serial ${caller.serial}`,
    caller.uid === undefined ? '' : `uid ${caller.uid}`,
    caller.pid === undefined ? '' : `pid ${caller.pid}`,
    caller.executable ?? '',
    caller.container === undefined ? '' : `container ${caller.container.slice(0, 12)}`,
    caller.pod === undefined ? '' : `pod ${caller.pod.name}`,
  ].filter((fact) => fact !== '')
  const proof = caller.proofs.length === 0 ? '' : `, proved by ${list(caller.proofs)}`
  return `${caller.spiffe_id}${proof}${facts.length === 0 ? '' : ` (${facts.join(', ')})`}.${by === '' ? '' : `${by}.`}`
}

function onBehalf({ principal, chain, caller }: AuditRecord): string | undefined {
  if (principal === undefined) return undefined
  const hops = chain ?? []
  if (principal.id === caller?.spiffe_id && hops.length <= 1) return 'Itself; nobody handed it anything.'
  const way = hops.map(({ id, scopes }) => (scopes.length === 0 ? id : `${id} (${scopes.join(' ')})`)).join(' → ')
  return `The ${principal.kind} ${principal.id}${way === '' ? '' : `, by way of ${way}`}.`
}

function what(record: AuditRecord): string | undefined {
  const { kind, request, destination } = record
  if (eventOf(record) !== undefined) return undefined
  if (kind === 'connection') {
    return destination === undefined
      ? 'It ended before a host could be read.'
      : `It asked for ${destination.host}, and ended before a request.`
  }
  const keys = request?.query_keys === undefined ? '' : ' Values of the query are not recorded.'
  const name = destination?.name === undefined ? '' : `, which the configuration calls ${destination.name}`
  const size = request?.bytes === undefined || request.bytes === 0 ? '' : ` with ${bytes(request.bytes)} of body`
  return `${requestOf(record)}${name}${size}.${keys}`
}

function rule({ decision, refusal }: AuditRecord): string | undefined {
  if (decision === undefined) {
    return refusal === undefined ? undefined : 'The policy was not asked; it ended before that.'
  }
  const version = ` (policy ${decision.policy_version})`
  if (decision.verdict === 'allow') return `${decision.rule ?? 'A rule'} allowed it${version}.`
  const detail = refusal?.detail === undefined ? '' : ` ${sentence(refusal.detail)}`
  const who = decision.rule === undefined ? 'No rule allowed it' : `${decision.rule} denied it`
  return `${who}${version}.${detail}`
}

/** What the refusal says beyond its reason, where the rule has not said it. */
function why({ refusal, decision }: AuditRecord): string | undefined {
  return refusal?.detail === undefined || decision?.verdict === 'deny' ? undefined : sentence(refusal.detail)
}

function shadow({ decision }: AuditRecord): string | undefined {
  const shadows = decision?.shadows
  if (shadows === undefined || shadows.length === 0) return undefined
  return `${list(shadows.map(({ rule, would }) => `${rule} would ${would} it`))}; in shadow mode that has no effect.`
}

function budgets({ budgets: all }: AuditRecord): string | undefined {
  if (all === undefined || all.length === 0) return undefined
  const told = all.map(({ name, cost, left }) => {
    const rest = [
      ...(left.requests === undefined ? [] : [`${left.requests} requests`]),
      ...(left.response_bytes === undefined ? [] : [`${bytes(left.response_bytes)} of answers`]),
      ...(left.paths === undefined ? [] : [`${left.paths} paths`]),
      ...(left.cost === undefined ? [] : [`${left.cost} units`]),
    ]
    return `of ${name} ${list(rest)} were left${cost === undefined ? '' : ` after this cost ${cost}`}`
  })
  return sentence(told.join('; '))
}

const caches = {
  hit: 'was there already',
  miss: 'was obtained for this request',
  refresh: 'was renewed for this request',
} as const

function credential({ credential, injected }: AuditRecord): string | undefined {
  if (credential === undefined) return undefined
  const { name, kind, cache, expires_in_s: expires, scopes, fingerprint } = credential
  if (cache === undefined) return `${name} was needed; the request did not get it.`
  const life =
    expires === undefined ? 'does not say when it expires' : `had ${spanOfTime(Math.max(0, expires) * 1_000)} left`
  const granted = scopes === undefined || scopes.length === 0 ? '' : ` Granted: ${scopes.join(' ')}.`
  const print = fingerprint === undefined ? '' : ` Fingerprint ${fingerprint}.`
  const written =
    injected === undefined
      ? ' It was not written into the request.'
      : ` Written as ${injected.placement ?? 'configured'}.`
  return `${name} (${kind ?? 'unknown kind'}) ${caches[cache]} and ${life}.${written}${granted}${print}`
}

const findings = {
  agent_credential_removed: 'a credential of the agent’s own was taken out',
  agent_credential_passed: 'a credential of the agent’s own was passed on',
  stand_in_misused: 'a stand-in was sent where it does not belong',
  secret_echoed: 'the answer gave the credential back',
  credential_refused: 'the upstream did not accept the credential',
  address_mismatch: 'the caller had connected to an address that is none of the host’s',
  wider_scope: 'a token server granted more than was asked for, and the token was not used',
} as const

function found({ findings: all }: AuditRecord): string | undefined {
  if (all === undefined || all.length === 0) return undefined
  const told = all.map(({ kind, where, count, fingerprint, note }) => {
    const times = count === undefined || count === 1 ? '' : `, ${count} times`
    const print = fingerprint === undefined ? '' : `, fingerprint ${fingerprint}`
    return `${findings[kind] ?? kind} (${where}${times}${print}${note === undefined ? '' : `, ${note}`})`
  })
  return sentence(told.join('; '))
}

const endings = {
  complete: 'It was passed on to its end',
  refused: 'Postern answered by itself',
  client_gone: 'The agent went away before its end',
  upstream_gone: 'The upstream broke off before its end',
  cut: 'Postern cut it in the middle',
} as const

function answer({ response, destination, kind }: AuditRecord): string | undefined {
  if (response === undefined) return undefined
  const address = destination?.address === undefined ? '' : ` from ${destination.address}`
  const status = response.status === undefined ? 'No status' : `${response.status}`
  return `${status}${address}, ${bytes(response.bytes)}. ${endings[response.ended]}${kind === 'tunnel' ? ' (tunnel)' : ''}.`
}

const stages = ['identify', 'authorize', 'obtain', 'inject', 'forward', 'redact', 'body'] as const

const whose = {
  identify: 'telling who calls',
  authorize: 'asking the policy',
  obtain: 'getting the credential',
  inject: 'putting the credential in',
  forward: 'waiting for the upstream',
  redact: 'looking at the head of the answer',
  body: 'passing the body on',
} as const

function time({ ms }: AuditRecord): string | undefined {
  if (ms === undefined) return undefined
  const parts = stages.flatMap((stage) => {
    const spent = ms[stage]
    return spent === undefined || spent === 0 ? [] : [{ stage, spent }]
  })
  const total = spanOfTime(ms.total)
  if (parts.length === 0) return `${total} in all.`
  const longest = parts.reduce((most, part) => (part.spent > most.spent ? part : most))
  const most = longest.spent > ms.total / 2 ? `, most of it ${whose[longest.stage]}` : ''
  return `${total} in all${most}: ${parts.map(({ stage, spent }) => `${stage} ${spanOfTime(spent)}`).join(', ')}.`
}

function next({ kind, refusal, outcome, response }: AuditRecord): string | undefined {
  if (kind === 'gap') return 'See why records could not be written: docs/operations.md.'
  if (refusal !== undefined) return rowOf(refusal.reason)?.next
  if (outcome === 'failed' && response?.ended === 'upstream_gone')
    return 'Look at the upstream; Postern had nothing against it.'
  return undefined
}

function list(items: readonly string[]): string {
  return items.length < 2 ? items.join('') : `${items.slice(0, -1).join(', ')} and ${items.at(-1)}`
}

function sentence(text: string): string {
  // A name of a host or a field stays as it is.
  const capital = /^[a-z]+(?:[ ,;]|: |$)/.test(text) ? text.charAt(0).toUpperCase() + text.slice(1) : text
  return /[.!?…]$/.test(capital) ? capital : `${capital}.`
}

function bytes(count: number): string {
  if (count < 1_000) return `${count} bytes`
  if (count < 1e6) return `${(count / 1e3).toFixed(1)} kB`
  return count < 1e9 ? `${(count / 1e6).toFixed(1)} MB` : `${(count / 1e9).toFixed(2)} GB`
}
