// Compares what was decided with what a policy would decide now, and counts.

import { parseSpiffeId, type SpiffeId } from '../../certs/spiffe-id.ts'
import type { CompiledPolicy } from '../../policy/compile.ts'
import { type Answer, replay } from '../../policy/replay.ts'
import { createEngine, type RuleEngine } from '../../policy/rule-engine.ts'
import type { AuditRecord } from '../../proxy/record/line.ts'
import { type Recollection, recollect, type Was } from './recalled.ts'

/**
 * `denied`: was allowed and would be denied; `allowed`: the other way round; `otherwise`: the same verdict by another
 * rule, to another destination, with another credential, or for another reason; `unknown`: the record does not tell enough.
 */
export type Effect = 'same' | 'denied' | 'allowed' | 'otherwise' | 'unknown'

/** Requests of one sort that would be decided otherwise now, or of which it cannot be told. */
export interface Change {
  readonly effect: Exclude<Effect, 'same'>
  readonly agent: string
  readonly method: string
  readonly host: string
  readonly path: string
  readonly was: string
  /** With `unknown`: what it could be. */
  readonly now: string
  /** With `unknown`: the rules that look at what is not recorded. */
  readonly openAt: readonly string[]
  count: number
  /** Id of the first of them; `postern why` tells its story. */
  readonly example: string
}

/** All changes that come from one answer turning into another. */
export interface Way {
  readonly effect: Change['effect']
  /** Such as `reads → no_rule`; with `unknown`, the rules that look at what is not recorded. */
  readonly way: string
  count: number
}

export interface Counts {
  same: number
  denied: number
  allowed: number
  otherwise: number
  unknown: number
  /** Of which the rules were not asked, or did not decide. */
  unasked: number
  /** To the agent's door. */
  door: number
}

/** Sorts of change that are told one by one; what comes after is only counted. */
export const mostChanges = 10_000

export class Comparison {
  readonly counts: Counts = { same: 0, denied: 0, allowed: 0, otherwise: 0, unknown: 0, unasked: 0, door: 0 }
  /** Changed requests that `changes` has no room for. */
  untold = 0
  first: string | undefined
  last: string | undefined
  readonly #policy: CompiledPolicy
  readonly #engine: RuleEngine
  readonly #changes = new Map<string, Change>()
  readonly #ways = new Map<string, Way>()
  readonly #ids = new Map<string, SpiffeId>()

  constructor(policy: CompiledPolicy) {
    this.#policy = policy
    this.#engine = createEngine(policy)
  }

  /** The most frequent first. */
  get changes(): readonly Change[] {
    return [...this.#changes.values()].sort((one, other) => other.count - one.count)
  }

  /** The most frequent first; there are no more than pairs of answers. */
  get ways(): readonly Way[] {
    return [...this.#ways.values()].sort((one, other) => other.count - one.count)
  }

  take(record: AuditRecord): void {
    const recollection = this.#recollect(record)
    if (recollection === undefined) return
    if (this.first === undefined || record.time < this.first) this.first = record.time
    if (this.last === undefined || record.time > this.last) this.last = record.time
    if (recollection.kind === 'asked') this.#asked(record, recollection)
    else if (recollection.kind === 'unreachable') this.#unreachable(record, recollection)
    else this.counts[recollection.kind] += 1
  }

  /** A record that was made up may hold what is none of its fields. */
  #recollect(record: AuditRecord): Recollection | undefined {
    try {
      return recollect(record, (text) => this.#id(text))
    } catch {
      return { kind: 'unasked' }
    }
  }

  #asked(record: AuditRecord, { recalled, was }: Extract<Recollection, { kind: 'asked' }>): void {
    const { answers, openAt } = replay(this.#policy, recalled)
    const effects = new Set(answers.map((answer) => effectOf(was, answer)))
    const [only] = effects
    const effect = only === undefined || effects.size > 1 ? 'unknown' : only
    this.counts[effect] += 1
    if (effect === 'same') return
    const now = answers.map(answerText).join(' or ')
    const { method, host, port, scheme, path } = recalled.request
    const usual = port === (scheme === 'https' ? 443 : 80)
    const place = usual ? host : `${host}:${port}`
    this.#note(record, { effect, method, host: place, path, was: wasText(was), now, openAt })
  }

  /** Of a connection that never became a request, only whether there could be one now can be told. */
  #unreachable(record: AuditRecord, { caller, host }: Extract<Recollection, { kind: 'unreachable' }>): void {
    const ports = new Set(this.#policy.index.hosts.at(host).flatMap((place) => place.ports))
    const reached = [...ports].some((port) => this.#engine.reach(caller, host, port) !== 'none')
    this.counts[reached ? 'unknown' : 'same'] += 1
    if (!reached) return
    const now = 'some request could be allowed'
    this.#note(record, { effect: 'unknown', method: '(connection)', host, path: '', was: 'no_rule', now, openAt: [] })
  }

  #note({ caller, id }: AuditRecord, sort: Omit<Change, 'agent' | 'count' | 'example'>): void {
    const agent = caller?.spiffe_id ?? ''
    const { effect, method, host, path, was, now, openAt } = sort
    this.#countWay(effect, effect === 'unknown' && openAt.length > 0 ? `by ${openAt.join(', ')}` : `${was} → ${now}`)
    const key = [effect, agent, method, host, path, was, now].join('\n')
    const known = this.#changes.get(key)
    if (known !== undefined) known.count += 1
    else if (this.#changes.size < mostChanges) this.#changes.set(key, { ...sort, agent, count: 1, example: id })
    else this.untold += 1
  }

  #countWay(effect: Change['effect'], way: string): void {
    const key = `${effect} ${way}`
    const known = this.#ways.get(key)
    if (known !== undefined) known.count += 1
    else if (this.#ways.size < mostChanges) this.#ways.set(key, { effect, way, count: 1 })
  }

  #id(text: string): SpiffeId {
    const known = this.#ids.get(text)
    if (known !== undefined) return known
    const id = parseSpiffeId(text)
    if (this.#ids.size < mostChanges) this.#ids.set(text, id)
    return id
  }
}

function effectOf(was: Was, now: Answer): Effect {
  // Limits are not replayed, so what was only once too often was allowed by its rule.
  const limited = was.reason === 'limit_exceeded'
  if (limited && now.verdict === 'allow') return now.rule === was.rule ? 'same' : 'allowed'
  if (now.verdict === 'deny') {
    if (was.verdict === 'allow') return 'denied'
    return was.reason === now.reason && was.rule === now.rule ? 'same' : 'otherwise'
  }
  if (was.verdict === 'deny') return 'allowed'
  const alike =
    was.rule === now.rule &&
    was.credential === now.credential &&
    (was.destination === undefined || was.destination === now.destination)
  return alike ? 'same' : 'otherwise'
}

function answerText(answer: Answer): string {
  if (answer.verdict === 'deny') return denialText(answer.reason, answer.rule)
  return allowText(answer.rule, answer.credential)
}

function wasText({ verdict, rule, reason, credential }: Was): string {
  return verdict === 'deny' ? denialText(reason ?? 'denied', rule) : allowText(rule, credential)
}

const denialText = (reason: string, rule: string | undefined) => (rule === undefined ? reason : `${reason} ${rule}`)

const allowText = (rule: string | undefined, credential: string | undefined) =>
  `${rule ?? 'allowed'}${credential === undefined ? '' : ` with ${credential}`}`
