// From the rules as they are written to rules that can be tried, and their index.
import { type CompiledRule, compileRule } from './compiled-rule.ts'
import type { PolicyDestination } from './hosts.ts'
import { RuleIndex } from './rule-index.ts'
import { nameRules, type Rule } from './settings.ts'
import { fingerprint } from './version.ts'
import type { View } from './view.ts'

export interface CompiledPolicy {
  /** Changes with the rules and the destinations. */
  readonly version: string
  /** In the order of the file. */
  readonly rules: readonly CompiledRule[]
  readonly index: RuleIndex
}

export interface PolicySource {
  /** Checked by their schema, `checkRule` and `checkRuleNames`. Keys that other rooms add count for the version. */
  readonly rules: readonly Rule[]
  readonly destinations: readonly PolicyDestination[]
}

/** @throws Error for what the checks at load would have found */
export function compile({ rules, destinations }: PolicySource): CompiledPolicy {
  const placesOf = (view: View) => index.places(view).map(({ name }) => name)
  const compiled = nameRules(rules).map((rule, order) => compileRule(rule, order, fingerprint(rule), placesOf))
  const index = new RuleIndex(compiled, destinations)
  const content = destinations.map(({ name, hosts, ports, protocol }) => ({ name, hosts, ports, protocol }))
  return {
    version: fingerprint({ rules: compiled.map((rule) => rule.fingerprint), destinations: content }),
    rules: compiled,
    index,
  }
}
