// Finds the few rules that can concern a caller at a destination, however many there are.
import { type Agent, isSubtree, subtreeOf } from './agents.ts'
import type { CompiledRule } from './compiled-rule.ts'
import { HostIndex, type PolicyDestination, serves } from './hosts.ts'
import type { View } from './view.ts'

/** Rules that are filed under the same destination and agent, each list in the order of the file. */
interface Drawer {
  readonly allows: CompiledRule[]
  readonly denies: CompiledRule[]
  readonly shadows: CompiledRule[]
}

/** A drawer, and the destination that led to it; undefined for rules that name none. */
export interface Found {
  readonly drawer: Drawer
  readonly destination: PolicyDestination | undefined
}

/** The rules of one destination, by agent. */
class AgentIndex {
  readonly #anyone = emptyDrawer()
  readonly #exact = new Map<string, Drawer>()
  readonly #subtrees = new Map<string, Drawer>()

  add(rule: CompiledRule): void {
    if (rule.agents === undefined) file(this.#anyone, rule)
    for (const pattern of new Set(rule.agents)) {
      const [map, key] = isSubtree(pattern) ? [this.#subtrees, subtreeOf(pattern)] : [this.#exact, pattern]
      const drawer = map.get(key) ?? emptyDrawer()
      map.set(key, drawer)
      file(drawer, rule)
    }
  }

  collect(agent: Agent, destination: PolicyDestination | undefined, into: Found[]): void {
    into.push({ drawer: this.#anyone, destination })
    const own = this.#exact.get(agent.id)
    if (own !== undefined) into.push({ drawer: own, destination })
    if (this.#subtrees.size === 0) return
    for (const subtree of agent.subtrees) {
      const drawer = this.#subtrees.get(subtree)
      if (drawer !== undefined) into.push({ drawer, destination })
    }
  }
}

export class RuleIndex {
  readonly hosts: HostIndex
  readonly #everywhere = new AgentIndex()
  readonly #byDestination = new Map<string, AgentIndex>()
  readonly #allowsTo = new Map<string, CompiledRule[]>()

  constructor(rules: readonly CompiledRule[], destinations: readonly PolicyDestination[]) {
    this.hosts = new HostIndex(destinations)
    for (const { name } of destinations) {
      this.#byDestination.set(name, new AgentIndex())
      this.#allowsTo.set(name, [])
    }
    for (const rule of rules) this.#add(rule)
  }

  #add(rule: CompiledRule): void {
    if (rule.to === undefined) this.#everywhere.add(rule)
    for (const name of new Set(rule.to)) {
      const index = this.#byDestination.get(name)
      if (index === undefined) throw new Error(`rule ${rule.name} names the destination ${name}, which there is not`)
      index.add(rule)
      if (rule.effect === 'allow' && !rule.shadow) this.#allowsTo.get(name)?.push(rule)
    }
  }

  /** Destinations that the question's target belongs to, the most specific first. */
  places(view: View): readonly PolicyDestination[] {
    const { request } = view.question
    const places = this.hosts.at(request.host)
    return places.every((place) => serves(place, request)) ? places : places.filter((place) => serves(place, request))
  }

  /** Every rule that names the caller and one of these destinations, or leaves them open, is in one of the drawers. */
  find(caller: Agent, places: readonly PolicyDestination[]): readonly Found[] {
    const found: Found[] = []
    for (const place of places) this.#byDestination.get(place.name)?.collect(caller, place, found)
    this.#everywhere.collect(caller, undefined, found)
    return found
  }

  /** The enforced rules that allow something at a destination, to anybody. */
  allowsTo(destination: string): readonly CompiledRule[] {
    return this.#allowsTo.get(destination) ?? []
  }
}

function emptyDrawer(): Drawer {
  return { allows: [], denies: [], shadows: [] }
}

function file(drawer: Drawer, rule: CompiledRule): void {
  if (rule.shadow) drawer.shadows.push(rule)
  else if (rule.effect === 'allow') drawer.allows.push(rule)
  else drawer.denies.push(rule)
}
