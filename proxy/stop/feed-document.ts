// One signed feed: verified, and read as the list of stops that it is.
import { createHash, type KeyObject } from 'node:crypto'
import { type CompactJWSHeaderParameters, type CryptoKey, compactVerify, decodeProtectedHeader, errors } from 'jose'
import * as z from 'zod'
import { reasonSchema, type Stop, stoppedSchema } from '../../policy/stop/stop.ts'

/** Header `typ`: no other token of the issuer can be taken for a feed (RFC 8725 §3.11). */
export const feedType = 'stop-feed+jwt'
/** Bytes. */
export const largestFeed = 4_194_304
/** Seconds that clocks may differ. */
const skew = 60

const entrySchema = z.strictObject({
  kind: z.enum(['agent', 'user', 'txn', 'delegation', 'credential', 'destination', 'all']),
  /** Absent for `all`. */
  id: z.string().optional(),
  /** Seconds (RFC 7519 §2). */
  nbf: z.int().min(0).max(1e11).optional(),
  exp: z.int().min(0).max(1e11).optional(),
  reason: reasonSchema,
})

/** Claims that are not known are passed over, entries and members of entries are not: they would stop something. */
const claimsSchema = z.object({
  iss: z.string(),
  iat: z.int().min(0).max(1e11),
  exp: z.int().min(0).max(1e11),
  seq: z.int().min(0),
  /** `digest` of the feed before. */
  prev: z.string().nullish(),
  entries: z.array(entrySchema),
})

type FeedEntry = z.infer<typeof entrySchema>

export interface FeedDocument {
  readonly seq: number
  /** SHA-256 of the compact form, base64url. */
  readonly digest: string
  readonly prev: string | undefined
  /** Epoch milliseconds. */
  readonly issuedAt: number
  readonly expiresAt: number
  readonly stops: readonly Stop[]
}

export interface FeedTerms {
  readonly issuer: string
  readonly algorithms: readonly string[]
  /** The key that the header names; throws where there is none. */
  readonly key: (header: CompactJWSHeaderParameters) => Promise<CryptoKey | KeyObject>
}

/**
 * @param text JWS in compact form (RFC 7515 §7.1)
 * @param now epoch milliseconds
 * @throws Error that says what is wrong
 */
export async function readFeed(
  text: string,
  { issuer, algorithms, key }: FeedTerms,
  now: number,
): Promise<FeedDocument> {
  const compact = text.trim()
  const { typ } = headerOf(compact)
  if (typ !== feedType) throw new Error(`its typ is not ${feedType}`)
  const payload = await verified(compact, algorithms, key)
  const read = claimsSchema.safeParse(jsonOf(payload))
  if (!read.success) {
    const issue = read.error.issues[0]
    throw new Error(`its claims are not those of a feed: ${issue?.path.join('.') ?? ''} ${issue?.message ?? ''}`)
  }
  const { iss, iat, exp, seq, prev, entries } = read.data
  if (iss !== issuer) throw new Error('it is of another issuer')
  if (iat * 1_000 > now + skew * 1_000) throw new Error('it was signed in the future')
  if (exp * 1_000 <= now) throw new Error('it has expired')
  return {
    seq,
    digest: digestOf(compact),
    prev: prev ?? undefined,
    issuedAt: iat * 1_000,
    expiresAt: exp * 1_000,
    stops: stopsOf(entries, issuer, iat * 1_000),
  }
}

export const digestOf = (compact: string) => createHash('sha256').update(compact).digest('base64url')

function headerOf(compact: string): ReturnType<typeof decodeProtectedHeader> {
  try {
    return decodeProtectedHeader(compact)
  } catch {
    throw new Error('it is no JWS')
  }
}

async function verified(compact: string, algorithms: readonly string[], key: FeedTerms['key']): Promise<Uint8Array> {
  try {
    return (await compactVerify(compact, key, { algorithms: [...algorithms] })).payload
  } catch (error) {
    if (error instanceof errors.JOSEAlgNotAllowed) throw new Error('its algorithm is not accepted')
    if (error instanceof errors.JWSSignatureVerificationFailed) throw new Error('its signature is wrong')
    throw new Error(`it cannot be verified: ${error instanceof Error ? error.message : String(error)}`, {
      cause: error,
    })
  }
}

function jsonOf(payload: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(payload))
  } catch {
    throw new Error('its payload is not JSON')
  }
}

/** @throws when an entry stops nothing that is known: it would be passed over */
function stopsOf(entries: readonly FeedEntry[], issuer: string, at: number): readonly Stop[] {
  const stops = new Map<string, Stop>()
  for (const [index, { kind, id, nbf, exp, reason }] of entries.entries()) {
    const what = stoppedSchema.safeParse(whatOf(kind, id))
    if (!what.success)
      throw new Error(`its entry ${index} stops nothing that is known: ${what.error.issues[0]?.message ?? ''}`)
    const stop = {
      // The same entry keeps its id from one feed to the next.
      id: `feed:${digestOf(JSON.stringify([kind, id, nbf, exp])).slice(0, 12)}`,
      what: what.data,
      reason,
      at,
      ...(nbf === undefined ? {} : { since: nbf * 1_000 }),
      ...(exp === undefined ? {} : { until: exp * 1_000 }),
      by: `feed ${issuer}`,
    }
    stops.set(stop.id, stop)
  }
  return [...stops.values()]
}

function whatOf(kind: FeedEntry['kind'], id: string | undefined): unknown {
  switch (kind) {
    case 'all':
      return id === undefined ? { kind } : { kind, id }
    case 'delegation':
      return { kind, jti: id }
    case 'credential':
    case 'destination':
      return { kind, name: id }
    default:
      return { kind, id }
  }
}
