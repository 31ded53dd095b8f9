// Swaps a stand-in that the agent holds for the credential, in the one place where it may stand.
import type { Credentialed, HeaderList, Injected } from '../exchange.ts'
import type { Secret } from '../secret.ts'
import { writtenAsBasic } from './basic.ts'
import { finish } from './draft.ts'
import { fieldValue } from './field-value.ts'
import { type Bindings, leaseFor } from './guard.ts'
import type { Placement } from './placement.ts'
import { writtenInQuery } from './query.ts'
import { findStandIns, misused, type Surface, surfaceName } from './stand-in.ts'
import type { Stripper } from './strip.ts'

export class PlaceholderPlacement implements Placement {
  readonly kind = 'placeholder'
  readonly #surface: Surface
  /** By name of the destination. */
  readonly #standIns: ReadonlyMap<string, string>
  readonly #stripper: Stripper
  readonly #bindings: Bindings

  constructor(surface: Surface, standIns: ReadonlyMap<string, string>, stripper: Stripper, bindings: Bindings) {
    this.#surface = surface
    this.#standIns = standIns
    this.#stripper = stripper
    this.#bindings = bindings
  }

  /** A request without a stand-in leaves without a credential: the agent did not ask for one. */
  apply(exchange: Credentialed): Injected {
    const places = findStandIns(exchange)
    if (places === undefined) return finish(exchange, this.#stripper.strip(exchange, false), [])
    const place = surfaceName(this.#surface)
    if (places.length > 1) throw misused(places, 'it may stand in one place only')
    if (places[0] !== place) throw misused(places, `it belongs into ${place}`)
    const standIn = this.#standIns.get(exchange.destination.name)
    if (standIn === undefined) throw misused(places, 'it is for another destination')
    const { secret } = leaseFor(exchange, this.#bindings)
    return 'header' in this.#surface
      ? this.#inHeader(exchange, this.#surface.header, standIn, secret)
      : this.#inQuery(exchange, this.#surface.query, standIn, secret)
  }

  #inHeader(exchange: Credentialed, field: string, standIn: string, secret: Secret): Injected {
    const { headers } = exchange
    for (let at = 0; at < headers.length; at += 2) {
      if (headers[at]?.toLowerCase() !== field.toLowerCase()) continue
      const swapped = swap(headers[at + 1] ?? '', standIn, secret)
      if (swapped === undefined) continue
      const draft = this.#stripper.strip({ ...exchange, headers: without(headers, at) }, true)
      draft.headers.push(field, swapped.value)
      return finish(exchange, draft, swapped.emitted)
    }
    throw misused([surfaceName(this.#surface)], 'it is another one, or not the whole credential')
  }

  #inQuery(exchange: Credentialed, key: string, standIn: string, secret: Secret): Injected {
    const draft = this.#stripper.strip(exchange, true)
    const mark = draft.path.indexOf('?')
    const parts = draft.path.slice(mark + 1).split('&')
    const at = parts.indexOf(`${key}=${standIn}`)
    if (at === -1) throw misused([surfaceName(this.#surface)], 'it is another one, or not the whole value')
    parts[at] = `${key}=${writtenInQuery(secret)}`
    draft.path = `${draft.path.slice(0, mark)}?${parts.join('&')}`
    return finish(exchange, draft, [secret])
  }
}

/** @returns undefined when the stand-in is not the whole credential: alone, after a scheme, or one half of a Basic pair */
function swap(
  value: string,
  standIn: string,
  secret: Secret,
): { readonly value: string; readonly emitted: readonly Secret[] } | undefined {
  const [, scheme = '', credential = ''] = /^([A-Za-z][A-Za-z0-9-]* +)?(\S+)$/.exec(value) ?? []
  if (credential === standIn) return { value: scheme + fieldValue(secret), emitted: [secret] }
  if (scheme.trimEnd().toLowerCase() !== 'basic') return undefined
  const pair = Buffer.from(credential, 'base64').toString('utf8')
  const colon = pair.indexOf(':')
  const [username, password] = [pair.slice(0, Math.max(0, colon)), pair.slice(colon + 1)]
  if (password === standIn) {
    const written = writtenAsBasic(username, secret)
    return { value: `Basic ${written.reveal()}`, emitted: [secret, written] }
  }
  if (username !== standIn) return undefined
  return {
    value: `Basic ${Buffer.from(`${fieldValue(secret)}:${password}`, 'utf8').toString('base64')}`,
    emitted: [secret],
  }
}

function without(headers: HeaderList, at: number): HeaderList {
  return [...headers.slice(0, at), ...headers.slice(at + 2)]
}
