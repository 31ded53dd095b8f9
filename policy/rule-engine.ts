// Decides: any matching deny refuses; else the first matching allow decides; else no rule does.
import type { SpiffeId } from '../certs/spiffe-id.ts'
import { Agent } from './agents.ts'
import type { CompiledPolicy } from './compile.ts'
import { type CompiledRule, holds } from './compiled-rule.ts'
import type { Allow, Deny, PolicyEngine, Question, Reach, Shadow } from './engine.ts'
import type { PolicyDestination } from './hosts.ts'
import { Limiter } from './limits.ts'
import { deniedDetail, noRuleDetail } from './nearest.ts'
import type { Found } from './rule-index.ts'
import { View } from './view.ts'

/** An engine that can hand its counts on to the next one. */
export interface RuleEngine extends PolicyEngine {
  /**
   * Whether some rule could allow anybody anything at a host, on whatever port.
   * @returns how the host is named there: by itself (`below` undefined) or below a suffix; undefined where nothing could be allowed
   */
  couldAllow(host: string): { readonly below: string | undefined } | undefined
  /** By the fingerprint of the rule. */
  readonly limiters: ReadonlyMap<string, Limiter>
}

/**
 * @param previous the engine that this one replaces: limits of rules that have not changed go on counting
 */
export function createEngine(policy: CompiledPolicy, previous?: RuleEngine): RuleEngine {
  return new Engine(policy, previous?.limiters ?? new Map())
}

/** A rule that allows, and the destination by which it was found. */
interface Granted {
  readonly rule: CompiledRule
  readonly destination: string
}

type Verdict = Omit<Allow, 'shadows'> | Omit<Deny, 'shadows'>

/** Counts a request against a rule's limit: whole seconds to wait, 0 when it was within. */
type Take = (rule: CompiledRule) => number

const noShadows: readonly Shadow[] = Object.freeze([])

class Engine implements RuleEngine {
  readonly version: string
  readonly limiters: ReadonlyMap<string, Limiter>
  readonly #policy: CompiledPolicy

  constructor(policy: CompiledPolicy, kept: ReadonlyMap<string, Limiter>) {
    this.version = policy.version
    this.#policy = policy
    const limiters = new Map<string, Limiter>()
    for (const { limit, fingerprint } of policy.rules) {
      if (limit !== undefined) limiters.set(fingerprint, kept.get(fingerprint) ?? new Limiter(limit))
    }
    this.limiters = limiters
  }

  decide(question: Question): Allow | Deny {
    return this.#decide(question, (rule) => this.#take(rule, question))
  }

  review(question: Question): Allow | Deny {
    return this.#decide(question, () => 0)
  }

  #decide(question: Question, take: Take): Allow | Deny {
    const view = new View(question)
    const places = this.#policy.index.places(view)
    const found = this.#policy.index.find(view.caller, places)
    const denier = firstDeny(found, view)
    const granted = denier === undefined ? firstAllow(found, view) : undefined
    const verdict = this.#verdict(view, found, denier, granted, take)
    return { ...verdict, shadows: this.#shadows(view, found, verdict, granted, take) }
  }

  reach(caller: SpiffeId, host: string, port: number): Reach {
    const { index } = this.#policy
    const agent = new Agent(caller)
    const places = index.hosts.at(host).filter((place) => place.ports.includes(port))
    if (places.length === 0) return 'none'
    const found = index.find(agent, places)
    // A deny without further conditions leaves nothing to allow wherever it applies.
    const closed = found.filter(({ drawer }) => drawer.denies.some((rule) => rule.conditions.length === 0))
    let reach: Reach = 'none'
    for (const { drawer, destination } of found) {
      if (destination === undefined || drawer.allows.length === 0 || closed.some((by) => covers(by, destination)))
        continue
      if (destination.protocol !== 'opaque') return 'inspect'
      reach = 'opaque'
    }
    return reach
  }

  couldAllow(host: string): { readonly below: string | undefined } | undefined {
    const { index } = this.#policy
    const places = index.hosts.at(host).filter(({ name }) => index.allowsTo(name).length > 0)
    const [first] = places
    if (first === undefined) return undefined
    if (places.some(({ hosts }) => hosts.includes(host))) return { below: undefined }
    const suffixes = places.flatMap(({ hosts }) =>
      hosts.filter((each) => each[0] === '*' && host.endsWith(each.slice(1))),
    )
    // The longest leaves the least to the caller.
    const below = suffixes.reduce((longest, each) => (each.length > longest.length ? each : longest), '').slice(2)
    return { below }
  }

  #verdict(
    view: View,
    found: readonly Found[],
    denier: CompiledRule | undefined,
    granted: Granted | undefined,
    take: Take,
  ): Verdict {
    if (denier !== undefined) return deny('denied_by_rule', denier.name, deniedDetail(denier, view))
    if (granted === undefined) {
      return deny('no_rule', undefined, noRuleDetail(this.#policy.index, found, view))
    }
    const { rule, destination } = granted
    const wait = take(rule)
    if (wait > 0) return deny('limit_exceeded', rule.name, `rule ${rule.name} allows ${rule.limit?.text}`, wait)
    return { verdict: 'allow', rule: rule.name, destination, credential: rule.credential }
  }

  /** Each shadow rule by itself: what would have been decided had it been enforced, where that differs. */
  #shadows(
    view: View,
    found: readonly Found[],
    verdict: Verdict,
    granted: Granted | undefined,
    take: Take,
  ): readonly Shadow[] {
    if (found.every(({ drawer }) => drawer.shadows.length === 0)) return noShadows
    const rules = new Set(found.flatMap(({ drawer }) => drawer.shadows))
    const matching = [...rules].filter((rule) => holds(rule.conditions, rule.effect, view))
    return matching
      .sort((a, b) => a.order - b.order)
      .flatMap((rule) => {
        const would = wouldDecide(rule, verdict, granted, take)
        return would === undefined || would === verdict.verdict ? [] : [{ rule: rule.name, would }]
      })
  }

  #take(rule: CompiledRule, { caller, now }: Question): number {
    return rule.limit === undefined ? 0 : (this.limiters.get(rule.fingerprint)?.take(caller.id, now) ?? 0)
  }
}

function wouldDecide(
  rule: CompiledRule,
  verdict: Verdict,
  granted: Granted | undefined,
  take: Take,
): Shadow['would'] | undefined {
  if (rule.effect === 'deny') return 'deny'
  const denied = verdict.verdict === 'deny' && verdict.reason === 'denied_by_rule'
  // A deny would still win, and so would an allow further up.
  if (denied || (granted !== undefined && granted.rule.order < rule.order)) return undefined
  return take(rule) === 0 ? 'allow' : 'deny'
}

/** The first in the order of the file; each drawer is in that order. */
function firstDeny(found: readonly Found[], view: View): CompiledRule | undefined {
  let first: CompiledRule | undefined
  for (const { drawer } of found) {
    for (const rule of drawer.denies) {
      if (first !== undefined && rule.order >= first.order) break
      if (!holds(rule.conditions, 'deny', view)) continue
      first = rule
      break
    }
  }
  return first
}

function firstAllow(found: readonly Found[], view: View): Granted | undefined {
  let first: Granted | undefined
  for (const { drawer, destination } of found) {
    if (destination === undefined) continue
    for (const rule of drawer.allows) {
      if (first !== undefined && rule.order >= first.rule.order) break
      if (!holds(rule.conditions, 'allow', view)) continue
      first = { rule, destination: destination.name }
      break
    }
  }
  return first
}

function covers({ destination }: Found, other: PolicyDestination): boolean {
  return destination === undefined || destination.protocol === other.protocol
}

function deny(
  reason: Deny['reason'],
  rule: string | undefined,
  detail: string,
  retryAfter?: number,
): Omit<Deny, 'shadows'> {
  return { verdict: 'deny', reason, rule, detail, retryAfter }
}
