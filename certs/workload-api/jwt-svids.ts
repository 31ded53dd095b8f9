// JWT-SVIDs of this process: fetched when they are asked for, kept until half of their life is gone.
import { decodeJwt, decodeProtectedHeader } from 'jose'
import { leeway } from '../jwt-svid/claims.ts'
import { parseSpiffeId, type SpiffeId, type TrustDomain, trustDomainOf } from '../spiffe-id.ts'
import { CallError } from './call-error.ts'
import { jwtSvidRequest, readJwtSvidAnswer } from './proto.ts'

export interface JwtSvidsOptions {
  /** Sends a request of FetchJWTSVID and gives its answer. */
  readonly ask: (request: Uint8Array) => Promise<Uint8Array>
  /** That every token must be of; undefined: any. */
  readonly trustDomain: TrustDomain | undefined
  /** Epoch milliseconds. */
  readonly now: () => number
}

interface Kept {
  readonly token: string
  /** Epoch milliseconds; so are the others. */
  readonly fetchedAt: number
  readonly renewAt: number
  readonly expiresAt: number
}

/** Audiences are those of the configuration; more at once are a mistake, and the oldest goes. */
const capacity = 256

export class JwtSvids {
  readonly #options: JwtSvidsOptions
  readonly #kept = new Map<string, Kept>()
  readonly #underWay = new Map<string, Promise<string>>()
  #generation = 0

  constructor(options: JwtSvidsOptions) {
    this.#options = options
  }

  /**
   * @param id whose token it is to be; undefined: whatever the API gives first
   * @throws CallError, or Error when the answer cannot be used
   */
  token(audience: readonly string[], id: SpiffeId | undefined): Promise<string> {
    if (audience.length === 0) return Promise.reject(new Error('a JWT-SVID needs an audience'))
    const key = JSON.stringify([id ?? '', ...audience.toSorted()])
    const kept = this.#kept.get(key)
    if (kept !== undefined && isFresh(kept, this.#options.now())) return Promise.resolve(kept.token)
    const underWay = this.#underWay.get(key)
    if (underWay !== undefined) return underWay
    const fetched = this.#fetch(key, audience, id).finally(() => {
      if (this.#underWay.get(key) === fetched) this.#underWay.delete(key)
    })
    this.#underWay.set(key, fetched)
    return fetched
  }

  /** Forgets every token, those under way too. */
  clear(): void {
    this.#generation++
    this.#kept.clear()
    this.#underWay.clear()
  }

  async #fetch(key: string, audience: readonly string[], id: SpiffeId | undefined): Promise<string> {
    const { ask, trustDomain, now } = this.#options
    const generation = this.#generation
    try {
      const answer = await ask(jwtSvidRequest({ audience, spiffeId: id ?? '' }))
      const fresh = readToken(answer, { audience, id, trustDomain, now: now() })
      if (generation !== this.#generation) throw new Error('the identity was withdrawn meanwhile')
      this.#keep(key, fresh)
      return fresh.token
    } catch (error) {
      const kept = this.#kept.get(key)
      // Denied is a word about this process; everything else is a trouble that an unexpired token outlives.
      if (error instanceof CallError && error.isDenied) this.clear()
      else if (kept !== undefined && now() < kept.expiresAt) return kept.token
      throw error
    }
  }

  #keep(key: string, fresh: Kept): void {
    this.#kept.delete(key)
    this.#kept.set(key, fresh)
    for (const oldest of this.#kept.keys()) {
      if (this.#kept.size <= capacity) break
      this.#kept.delete(oldest)
    }
  }
}

/** When the clock has been put back, a token that was issued before is one of the future, which others refuse. */
function isFresh({ fetchedAt, renewAt }: Kept, now: number): boolean {
  return now < renewAt && now > fetchedAt - leeway
}

interface Asked {
  readonly audience: readonly string[]
  readonly id: SpiffeId | undefined
  readonly trustDomain: TrustDomain | undefined
  readonly now: number
}

/** The signature is not verified: that is for those who are shown the token. */
function readToken(answer: Uint8Array, { audience, id, trustDomain, now }: Asked): Kept {
  const [first] = readJwtSvidAnswer(answer)
  if (first === undefined) throw new Error('there is no JWT-SVID in the answer')
  if (first.spiffeId === '' || first.token === '') throw new Error('the JWT-SVID has an empty field')
  const subject = parseSpiffeId(first.spiffeId)
  if (id !== undefined && subject !== id) throw new Error(`the JWT-SVID is of ${subject}, not of ${id}`)
  if (trustDomain !== undefined && trustDomainOf(subject) !== trustDomain)
    throw new Error(`${subject} is not of the trust domain ${trustDomain}`)
  const { alg } = decodeProtectedHeader(first.token)
  const { sub, aud, exp } = decodeJwt(first.token)
  if (alg === undefined || alg === 'none') throw new Error('the JWT-SVID is not signed')
  if (sub !== subject) throw new Error('the JWT-SVID has another subject than the message')
  const audiences = new Set(typeof aud === 'string' ? [aud] : aud)
  if (!audience.every((each) => audiences.has(each)))
    throw new Error('the JWT-SVID lacks an audience that was asked for')
  const expiresAt = (exp ?? 0) * 1_000
  if (expiresAt <= now) throw new Error('the JWT-SVID has expired')
  return { token: first.token, fetchedAt: now, renewAt: now + (expiresAt - now) / 2, expiresAt }
}
