// What a policy would say of a request that is known from its record alone: without header fields, and without what its query said.
import type { CompiledPolicy } from './compile.ts'
import { type CompiledRule, holds } from './compiled-rule.ts'
import type { Question } from './engine.ts'
import { Variables } from './environment.ts'
import type { Found } from './rule-index.ts'
import { View } from './view.ts'

/** A request as its record tells it. */
export type Recalled = Omit<Question, 'request'> & {
  readonly request: Omit<Question['request'], 'query' | 'headers'> & {
    /** Whether it had a query; what the query said is not recorded. */
    readonly hasQuery: boolean
    /** Whether the path was too long to be recorded whole. */
    readonly pathCut: boolean
  }
}

export type Answer =
  | {
      readonly verdict: 'allow'
      readonly rule: string
      readonly destination: string
      readonly credential: string | undefined
    }
  | { readonly verdict: 'deny'; readonly rule: string | undefined; readonly reason: 'denied_by_rule' | 'no_rule' }

export interface Replayed {
  /** Every answer that the request could have got, by what its record leaves open; at least one. */
  readonly answers: readonly [Answer, ...Answer[]]
  /** The rules that looked at what is not recorded. */
  readonly openAt: readonly string[]
}

/** A view that notices when a rule looks at what is not known. Everything that it tells then is wrong, so it tells nothing. */
class RecalledView extends View {
  looked = false
  readonly #recalled: Recalled

  constructor(recalled: Recalled) {
    super({ ...recalled, request: { ...recalled.request, query: '', headers: [] } })
    this.#recalled = recalled
  }

  override get path() {
    if (this.#recalled.request.pathCut) this.looked = true
    return super.path
  }

  override get query() {
    if (this.#recalled.request.hasQuery) this.looked = true
    return super.query
  }

  override get headers() {
    this.looked = true
    return super.headers
  }

  /** Anew for each condition, since they remember what they have read, and a look at that would go unnoticed. */
  override get variables(): Variables {
    return new Variables(this)
  }
}

/** Limits count as not yet used; rules in shadow mode have no effect, as ever. */
export function replay({ index }: CompiledPolicy, recalled: Recalled): Replayed {
  const view = new RecalledView(recalled)
  const found = index.find(view.caller, index.places(view))
  const answers: Answer[] = []
  const openAt: string[] = []
  const take = (rule: CompiledRule, answer: Answer): boolean => {
    const met = tried(rule, view)
    if (met === false) return false
    answers.push(answer)
    if (met === undefined) openAt.push(rule.name)
    return met === true
  }
  const done =
    denies(found).some((rule) => take(rule, { verdict: 'deny', rule: rule.name, reason: 'denied_by_rule' })) ||
    allows(found).some(({ rule, destination }) =>
      take(rule, { verdict: 'allow', rule: rule.name, destination, credential: rule.credential }),
    )
  const [first, ...others] = done ? answers : [...answers, nothing]
  return { answers: [first ?? nothing, ...others], openAt }
}

const nothing: Answer = { verdict: 'deny', rule: undefined, reason: 'no_rule' }

/** undefined: it depends on what is not known. Conditions are tried in their order, so a rule that fails at a known one is settled. */
function tried(rule: CompiledRule, view: RecalledView): boolean | undefined {
  let open = false
  for (const condition of rule.conditions) {
    view.looked = false
    const met = holds([condition], rule.effect, view)
    if (view.looked) open = true
    else if (!met) return false
  }
  return open ? undefined : true
}

function denies(found: readonly Found[]): CompiledRule[] {
  const rules = new Set<CompiledRule>()
  for (const { drawer } of found) for (const rule of drawer.denies) rules.add(rule)
  return rules.size < 2 ? [...rules] : [...rules].sort((one, other) => one.order - other.order)
}

/** A rule that several destinations lead to stands for the most specific of them, which comes first. */
function allows(found: readonly Found[]): { readonly rule: CompiledRule; readonly destination: string }[] {
  const rules = new Map<CompiledRule, string>()
  for (const { drawer, destination } of found) {
    if (destination === undefined) continue
    for (const rule of drawer.allows) if (!rules.has(rule)) rules.set(rule, destination.name)
  }
  return [...rules]
    .map(([rule, destination]) => ({ rule, destination }))
    .sort((one, other) => one.rule.order - other.rule.order)
}
