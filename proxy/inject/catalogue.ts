// Makes the placement of each rule from its settings. A new placement has one line here.
import { Refusal } from '../refusal.ts'
import type { Fingerprint } from './agent-credentials.ts'
import { BarePlacement } from './bare.ts'
import { basic } from './basic.ts'
import { bearer } from './bearer.ts'
import { cookie } from './cookie.ts'
import { CredentialPlacement } from './credential-placement.ts'
import type { Bindings } from './guard.ts'
import { header } from './header.ts'
import { PlaceholderPlacement } from './placeholder.ts'
import type { Placement, Placements } from './placement.ts'
import { query } from './query.ts'
import type { Inject, Placeholder } from './settings.ts'
import { shapeOf } from './shapes.ts'
import { standInFor } from './stand-in.ts'
import { Stripper } from './strip.ts'
import type { Writer } from './writer.ts'

/** What is read of a rule. */
export interface PlacedRule {
  readonly name: string
  readonly allow?: { readonly to?: string | readonly string[] | undefined } | undefined
  readonly use?: string | undefined
  readonly inject?: Inject | undefined
}

/** A variable that an SDK reads, and the stand-in that it is to hold. */
export interface StandIn {
  readonly variable: string
  readonly value: string
}

interface Parts {
  readonly rules: readonly PlacedRule[]
  /** By name: the destinations that each is for. */
  readonly credentials: Readonly<Record<string, { readonly for: readonly string[] }>>
  /** At least 32 random bytes, the same as long as the process lives: stand-ins are made with it. */
  readonly standInKey: Uint8Array
  readonly fingerprint: Fingerprint
}

/** @throws Error when two stand-ins would have to stand in one variable */
export function createPlacements({ rules, credentials, standInKey, fingerprint }: Parts): Catalogue {
  const bindings = new Map(Object.entries(credentials).map(([name, credential]) => [name, new Set(credential.for)]))
  const placements = new Map<string, Placement>()
  const standIns = new Map<string, string>()
  for (const rule of rules) {
    const settings = rule.inject === 'placeholder' ? { placeholder: {} } : (rule.inject ?? 'bearer')
    if (rule.use === undefined) placements.set(rule.name, bare(settings === 'agent', fingerprint))
    else if (typeof settings === 'object' && 'placeholder' in settings) {
      const { placement, held } = placeholder(settings.placeholder, rule.use, destinationsOf(rule), {
        key: standInKey,
        fingerprint,
        bindings,
      })
      placements.set(rule.name, placement)
      for (const { variable, value } of held) hold(standIns, variable, value)
    } else {
      const writer = writerOf(settings, fingerprint)
      placements.set(rule.name, new CredentialPlacement(writer, stripperOf(writer.field, fingerprint), bindings))
    }
  }
  return new Catalogue(
    placements,
    [...standIns].map(([variable, value]) => ({ variable, value })),
  )
}

export class Catalogue implements Placements {
  /** What `postern exec` puts into the environment of its command. */
  readonly standIns: readonly StandIn[]
  readonly #placements: ReadonlyMap<string, Placement>

  constructor(placements: ReadonlyMap<string, Placement>, standIns: readonly StandIn[]) {
    this.#placements = placements
    this.standIns = standIns
  }

  for(rule: string): Placement {
    const placement = this.#placements.get(rule)
    if (placement === undefined) throw new Refusal('internal_error', { detail: `rule ${rule} has no placement` })
    return placement
  }

  /** How the credential of a rule is written, for the record; undefined where there is no such rule. */
  kindOf(rule: string): string | undefined {
    return this.#placements.get(rule)?.kind
  }
}

function writerOf(
  settings: Exclude<Inject, 'placeholder' | { placeholder: Placeholder }>,
  fingerprint: Fingerprint,
): Writer {
  if (settings === 'basic') return basic
  // The configuration refuses `agent` beside a credential; if it came here, the credential would stand in the usual place.
  if (settings === 'bearer' || settings === 'agent') return bearer
  if ('header' in settings) return header(settings.header, settings.prefix)
  if ('query' in settings) return query(settings.query, fingerprint)
  return cookie(settings.cookie, fingerprint)
}

function bare(agentPasses: boolean, fingerprint: Fingerprint): Placement {
  return new BarePlacement(agentPasses ? 'agent' : 'none', new Stripper(fingerprint, { agentPasses }))
}

function placeholder(
  settings: Placeholder,
  credential: string,
  destinations: readonly string[],
  { key, fingerprint, bindings }: { key: Uint8Array; fingerprint: Fingerprint; bindings: Bindings },
): { readonly placement: Placement; readonly held: readonly StandIn[] } {
  const shape = shapeOf(settings.shape ?? 'plain')
  const surface = settings.in ?? { header: shape.field }
  const standIns = new Map(
    destinations.map((destination) => [destination, standInFor(key, credential, destination, surface, shape)]),
  )
  const own = 'header' in surface ? surface.header : undefined
  const variables = settings.env === undefined ? [] : [settings.env].flat()
  return {
    placement: new PlaceholderPlacement(surface, standIns, stripperOf(own, fingerprint), bindings),
    held: [...standIns.values()].flatMap((value) => variables.map((variable) => ({ variable, value }))),
  }
}

function stripperOf(own: string | undefined, fingerprint: Fingerprint): Stripper {
  return new Stripper(fingerprint, own === undefined ? {} : { own })
}

function destinationsOf({ allow }: PlacedRule): readonly string[] {
  return [allow?.to ?? []].flat()
}

function hold(standIns: Map<string, string>, variable: string, value: string): void {
  const present = standIns.get(variable)
  // A stand-in is bound to one destination and one place, so rules that differ in these need variables of their own.
  if (present !== undefined && present !== value)
    throw new Error(
      `${variable} would have to hold two different stand-ins: give each destination a variable of its own`,
    )
  standIns.set(variable, value)
}
