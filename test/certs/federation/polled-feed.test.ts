// What becomes of each answer of a bundle endpoint, and when it is asked again.
import { afterEach, describe, expect, test } from 'vitest'
import { PolledFeed } from '../../../certs/federation/polled-feed.ts'
import { parseTrustDomain } from '../../../certs/spiffe-id.ts'
import { makeAuthority } from '../../support/pki.ts'

const trustDomain = parseTrustDomain('b.example')
const x5c = (authority = makeAuthority()) => Buffer.from(authority.certificate).toString('base64')
const one = x5c()
const two = x5c()

function document(roots: readonly string[], more: object = {}): string {
  return JSON.stringify({ keys: roots.map((root) => ({ kty: 'EC', use: 'x509-svid', x5c: [root] })), ...more })
}

/** A feed whose endpoint and time the test moves. */
class Stage {
  answer: () => Promise<string> = async () => document([one])
  now = 1_000_000
  changes = 0
  taken = 0
  readonly problems: string[] = []
  /** How long it waits after each look. */
  readonly waits: number[] = []
  #wake: (() => void) | undefined
  #looked = Promise.withResolvers<void>()
  readonly feed: PolledFeed

  constructor(refresh = 300_000) {
    this.feed = new PolledFeed({
      trustDomain,
      fetch: () => this.answer(),
      refresh,
      now: () => this.now,
      wait: (milliseconds, signal) => {
        this.waits.push(milliseconds)
        this.#looked.resolve()
        return new Promise((resolve) => {
          this.#wake = resolve
          signal.addEventListener('abort', () => resolve(), { once: true })
        })
      },
      onChange: () => {
        this.changes += 1
      },
      onTaken: () => {
        this.taken += 1
      },
      onProblem: ({ message }) => void this.problems.push(message),
    })
  }

  async begin(): Promise<void> {
    await this.feed.start()
    await this.#looked.promise
  }

  /** The interval passes, and it looks again. */
  async again(answer: () => Promise<string>): Promise<void> {
    this.answer = answer
    this.#looked = Promise.withResolvers()
    this.#wake?.()
    await this.#looked.promise
  }

  get roots(): readonly string[] | undefined {
    return this.feed.bundle?.x509Authorities.map((der) => Buffer.from(der).toString('base64'))
  }
}

let stage: Stage
afterEach(() => stage.feed.close())

async function begun(refresh?: number, answer?: () => Promise<string>): Promise<Stage> {
  stage = new Stage(refresh)
  if (answer !== undefined) stage.answer = answer
  await stage.begin()
  return stage
}

describe('a feed', () => {
  test('replaces the bundle as a whole when the sequence is higher', async () => {
    const { feed } = await begun(undefined, async () => document([one], { spiffe_sequence: 1 }))
    expect(stage.roots).toEqual([one])
    await stage.again(async () => document([two], { spiffe_sequence: 2 }))
    expect(stage.roots).toEqual([two])
    expect(feed.status).toMatchObject({ state: 'held', sequence: 2n, problem: undefined, refreshedAt: 1_000_000 })
    expect([stage.changes, stage.taken]).toEqual([2, 2])
  })

  test('keeps the bundle when the sequence is lower, and says so; also after an answer without one', async () => {
    await begun(undefined, async () => document([two], { spiffe_sequence: 20 }))
    await stage.again(async () => document([one], { spiffe_sequence: 19 }))
    expect(stage.roots).toEqual([two])
    expect(stage.problems).toEqual(['the bundle of b.example: bundle_older: its sequence 19 is lower than 20'])
    expect(stage.feed.status).toMatchObject({ sequence: 20n, problem: expect.stringContaining('bundle_older') })
    await stage.again(async () => document([two]))
    await stage.again(async () => document([one], { spiffe_sequence: 19 }))
    expect(stage.problems).toHaveLength(2)
    expect(stage.roots).toEqual([two])
  })

  test('compares sequences of 64 bits exactly', async () => {
    await begun(undefined, async () => '{"keys":[],"spiffe_sequence":18446744073709551615}')
    await stage.again(async () => '{"keys":[],"spiffe_sequence":18446744073709551614}')
    expect(stage.problems).toEqual([expect.stringContaining('18446744073709551614 is lower than 18446744073709551615')])
  })

  test('keeps the same object while the endpoint says the same, so that what was validated by it stays so', async () => {
    await begun(undefined, async () => document([one], { spiffe_sequence: 1 }))
    const { bundle } = stage.feed
    await stage.again(async () => document([one], { spiffe_sequence: 2 }))
    expect(stage.feed.bundle).toBe(bundle)
    expect(stage.feed.status.sequence).toBe(2n)
    expect(stage.changes).toBe(1)
  })

  test('takes an empty bundle at its word: the state says so', async () => {
    await begun()
    await stage.again(async () => document([]))
    expect(stage.feed.status.state).toBe('empty')
    expect(stage.roots).toEqual([])
    expect(stage.changes).toBe(2)
  })

  test.each<[string, () => Promise<string>, RegExp]>([
    ['garbage', async () => '<html>', /bundle_not_json/],
    ['a member twice', async () => '{"keys":[],"keys":[]}', /bundle_duplicate_member/],
    ['no keys', async () => '{}', /bundle_no_keys/],
    ['no answer', () => Promise.reject(new Error('b.example answered 404')), /b\.example answered 404/],
  ])('keeps the bundle for %s, and waits for the next interval', async (_, answer, problem) => {
    await begun(300_000)
    stage.now += 5
    await stage.again(answer)
    expect(stage.roots).toEqual([one])
    expect(stage.feed.status).toMatchObject({
      state: 'held',
      refreshedAt: 1_000_000,
      nextRefresh: 1_300_005,
      problem: expect.stringMatching(problem),
    })
    expect(stage.problems).toEqual([expect.stringMatching(problem)])
    expect(stage.waits).toEqual([300_000, 300_000])
    await stage.again(async () => document([two]))
    expect(stage.roots).toEqual([two])
    expect(stage.feed.status.problem).toBeUndefined()
  })

  test.each<[string, object, number]>([
    ['as its hint says', { spiffe_refresh_hint: 60 }, 60_000],
    ['as configured without a hint', {}, 300_000],
    ['as configured where the hint is nothing', { spiffe_refresh_hint: 0 }, 300_000],
    ['a day later at most', { spiffe_refresh_hint: 1e15 }, 86_400_000],
  ])('asks again %s', async (_, more, milliseconds) => {
    await begun(300_000, async () => document([one], more))
    expect(stage.waits).toEqual([milliseconds])
  })

  test('asks again a second later at least', async () => {
    await begun(1)
    expect(stage.waits).toEqual([1_000])
  })

  test('asks sooner while there is nothing yet, and then as it should', async () => {
    const failed = () => Promise.reject(new Error('connection refused'))
    await begun(5_000, failed)
    expect(stage.feed.status.state).toBe('waiting')
    for (const _ of [1, 2, 3]) await stage.again(failed)
    expect(stage.waits).toEqual([1_000, 2_000, 4_000, 5_000])
    await stage.again(async () => document([one]))
    expect(stage.waits.at(-1)).toBe(5_000)
    expect(stage.feed.status.state).toBe('held')
  })

  test.each([86_400_000, -86_400_000])('takes no notice of a clock that jumps by %i ms', async (jump) => {
    await begun(undefined, async () => document([one], { spiffe_sequence: 1, spiffe_refresh_hint: 60 }))
    stage.now += jump
    expect(stage.roots).toEqual([one])
    await stage.again(async () => document([two], { spiffe_sequence: 2, spiffe_refresh_hint: 60 }))
    expect(stage.roots).toEqual([two])
    expect(stage.waits).toEqual([60_000, 60_000])
  })

  test('that is closed takes nothing any more, though an answer is on its way', async () => {
    await begun()
    const late = Promise.withResolvers<string>()
    void stage.again(() => late.promise)
    stage.feed.close()
    late.resolve(document([two]))
    await late.promise
    expect(stage.roots).toEqual([one])
    expect(stage.problems).toEqual([])
  })
})
