import { describe, expect, it } from 'vitest'
import { type CredentialEvent, CredentialManager, type ManagerOptions } from '../../../proxy/obtain/manager.ts'
import type { Lease, Need } from '../../../proxy/obtain/provider.ts'
import { Refusal } from '../../../proxy/refusal.ts'
import { CountingProvider, gate, HandClock, needOf, never, reasonOf, refusalOf } from './world.ts'

function set(options: Partial<ManagerOptions> = {}, ttl?: number) {
  const clock = new HandClock()
  const provider = new CountingProvider(clock)
  const events: CredentialEvent['result'][] = []
  const manager = new CredentialManager(new Map([['counted', { provider, ttl }]]), {
    clock: clock.read,
    random: () => 0.5,
    onEvent: ({ result }) => events.push(result),
    ...options,
  })
  const obtain = async (need: Need = needOf(), signal = never): Promise<Lease> =>
    manager.obtain('counted', need, signal)
  return { clock, provider, manager, events, obtain }
}

const value = (lease: Lease): string => lease.secret.reveal()
const settled = () => new Promise((resolve) => setImmediate(resolve))

describe('when the source fails', () => {
  it('refuses with the reason and detail of the source, and says when to come back', async () => {
    const { provider, obtain } = set()
    provider.failure = new Refusal('credential_unavailable', { detail: 'token server login.example: ECONNREFUSED' })
    const refusal = await refusalOf(obtain())
    expect(refusal.reason).toBe('credential_unavailable')
    expect(refusal.detail).toBe('token server login.example: ECONNREFUSED')
    expect(refusal.retryAfter).toBe(1)
  })

  it('does not ask it again before the back-off is over, which doubles up to a minute', async () => {
    const { provider, obtain, clock } = set()
    provider.failure = new Refusal('credential_unavailable')
    const waits: number[] = []
    for (let round = 0; round < 9; round += 1) {
      await reasonOf(obtain())
      const calls = provider.calls
      expect(await reasonOf(obtain())).toBe('credential_unavailable')
      expect(provider.calls).toBe(calls)
      const { retryAfter = 0 } = await refusalOf(obtain())
      waits.push(retryAfter)
      clock.forward(retryAfter * 1000)
    }
    expect(waits).toEqual([1, 2, 4, 8, 15, 29, 54, 54, 54])
    expect(provider.calls).toBe(9)
  })

  it('asks no sooner than the source itself wants', async () => {
    const { provider, obtain, clock } = set()
    provider.failure = new Refusal('credential_unavailable', { retryAfter: 30 })
    expect((await refusalOf(obtain())).retryAfter).toBe(30)
    clock.forward(29_000)
    expect((await refusalOf(obtain())).retryAfter).toBe(1)
    expect(provider.calls).toBe(1)
  })

  it('does not let a source ask for more than five minutes', async () => {
    const { provider, obtain } = set()
    provider.failure = new Refusal('credential_unavailable', { retryAfter: 999_999 })
    expect((await refusalOf(obtain())).retryAfter).toBe(300)
  })

  it('keeps consent_required as it is, without a time after which it would mend itself', async () => {
    const { provider, obtain } = set()
    provider.failure = new Refusal('consent_required', { detail: 'ended' })
    const refusal = await refusalOf(obtain())
    expect(refusal.reason).toBe('consent_required')
    expect(refusal.retryAfter).toBeUndefined()
  })

  it('turns what nobody expected into internal_error', async () => {
    const { provider, obtain } = set()
    provider.failure = new TypeError('x is not a function')
    expect(await reasonOf(obtain())).toBe('internal_error')
  })

  it('serves again at once after a success, and forgets the back-off', async () => {
    const { provider, obtain, clock } = set()
    provider.failure = new Refusal('credential_unavailable')
    await reasonOf(obtain())
    clock.forward(1_000)
    provider.failure = undefined
    expect(value(await obtain())).toBe('value-2')
    clock.forward(60_000)
    provider.failure = new Refusal('credential_unavailable')
    expect((await refusalOf(obtain())).retryAfter).toBe(1)
  })

  it('hands out the cached lease until it expires, then refuses', async () => {
    const { provider, obtain, clock } = set()
    await obtain()
    provider.failure = new Refusal('credential_unavailable')
    for (let second = 0; second < 54; second += 1) {
      clock.forward(1_000)
      expect(value(await obtain())).toBe('value-1')
      await settled()
    }
    clock.forward(1_000)
    expect(await reasonOf(obtain())).toBe('credential_unavailable')
  })

  it('leaves other credentials alone', async () => {
    const clock = new HandClock()
    const broken = new CountingProvider(clock)
    const sound = new CountingProvider(clock)
    broken.failure = new Refusal('credential_unavailable')
    const manager = new CredentialManager(
      new Map([
        ['broken', { provider: broken, ttl: undefined }],
        ['sound', { provider: sound, ttl: undefined }],
      ]),
      { clock: clock.read },
    )
    expect(await reasonOf(manager.obtain('broken', needOf(), never))).toBe('credential_unavailable')
    expect(value(await manager.obtain('sound', needOf(), never))).toBe('value-1')
  })

  it('leaves other callers alone where the credential is one for each', async () => {
    const { provider, obtain } = set()
    provider.byCaller = true
    provider.failure = new Refusal('credential_unavailable')
    await reasonOf(obtain(needOf('spiffe://acme.example/a')))
    provider.failure = undefined
    expect(value(await obtain(needOf('spiffe://acme.example/b')))).toBe('value-2')
  })

  it('refuses a credential that it does not know', async () => {
    const { manager } = set()
    const refusal = await refusalOf(manager.obtain('other', needOf(), never))
    expect(refusal.reason).toBe('credential_unavailable')
    expect(refusal.detail).toContain('other')
  })

  it('gives up on a source that never answers, whether it heeds its signal or not', async () => {
    const { provider, obtain } = set({ flightTimeout: 20 })
    provider.gate = gate().closed
    const refusal = await refusalOf(obtain())
    expect(refusal.reason).toBe('credential_unavailable')
    expect(refusal.detail).toBe('the source did not answer within 20 ms')
    expect(provider.signals[0]?.aborted).toBe(true)
  })
})

describe('single flight', () => {
  it('makes one call for a thousand cold requests', async () => {
    const { provider, obtain } = set()
    const held = gate()
    provider.gate = held.closed
    const waiting = Array.from({ length: 1_000 }, () => obtain())
    held.open()
    const leases = await Promise.all(waiting)
    expect(provider.calls).toBe(1)
    expect(new Set(leases.map(value))).toEqual(new Set(['value-1']))
    expect(leases[0]?.cache).toBe('miss')
  })

  it('makes one call for a thousand requests that find it expired', async () => {
    const { provider, obtain, clock } = set()
    await obtain()
    clock.forward(60_000)
    const leases = await Promise.all(Array.from({ length: 1_000 }, () => obtain()))
    expect(provider.calls).toBe(2)
    expect(new Set(leases.map(value))).toEqual(new Set(['value-2']))
    expect(leases[0]?.cache).toBe('refresh')
  })

  it('makes one call for a thousand requests that fail together', async () => {
    const { provider, obtain } = set()
    provider.failure = new Refusal('credential_unavailable')
    const reasons = await Promise.all(Array.from({ length: 1_000 }, () => reasonOf(obtain())))
    expect(provider.calls).toBe(1)
    expect(new Set(reasons)).toEqual(new Set(['credential_unavailable']))
  })

  it('goes on for the others when one stops waiting', async () => {
    const { provider, obtain } = set()
    const held = gate()
    provider.gate = held.closed
    const leaving = new AbortController()
    const left = reasonOf(obtain(needOf(), leaving.signal))
    const staying = obtain()
    leaving.abort()
    expect(await left).toBe('client_gone')
    expect(provider.signals[0]?.aborted).toBe(false)
    held.open()
    expect(value(await staying)).toBe('value-1')
  })

  it('goes on for the cache when all stop waiting', async () => {
    const { provider, obtain } = set()
    const held = gate()
    provider.gate = held.closed
    const leaving = new AbortController()
    const left = reasonOf(obtain(needOf(), leaving.signal))
    leaving.abort()
    await left
    held.open()
    await settled()
    expect(value(await obtain())).toBe('value-1')
    expect(provider.calls).toBe(1)
  })

  it('refuses whoever had gone before asking', async () => {
    const { obtain } = set()
    expect(await reasonOf(obtain(needOf(), AbortSignal.abort()))).toBe('client_gone')
  })

  it('passes on the refusal with which a request was cut', async () => {
    const { provider, obtain } = set()
    provider.gate = gate().closed
    const cut = AbortSignal.abort(new Refusal('shutting_down'))
    expect(await reasonOf(obtain(needOf(), cut))).toBe('shutting_down')
  })

  it('is one for each partition', async () => {
    const { provider, obtain } = set()
    provider.byCaller = true
    const callers = ['spiffe://acme.example/a', 'spiffe://acme.example/b']
    const leases = await Promise.all(Array.from({ length: 100 }, (_, index) => obtain(needOf(callers[index % 2]))))
    expect(provider.calls).toBe(2)
    expect(leases.map(value).filter((_, index) => index % 2 === 0)).toEqual(Array(50).fill('value-1'))
  })
})

describe('time', () => {
  it('answers synchronously from the cache', async () => {
    const { manager, obtain } = set()
    await obtain()
    const lease = manager.obtain('counted', needOf(), never)
    expect(lease).not.toBeInstanceOf(Promise)
    expect((lease as Lease).cache).toBe('hit')
  })

  it('never hands out a lease within the skew of its end, at any moment of its life', async () => {
    const { provider, obtain, clock } = set({ skew: 5_000 })
    for (let step = 0; step < 2_000; step += 1) {
      const lease = await obtain()
      expect((lease.expiresAt ?? 0) - clock.now).toBeGreaterThan(5_000)
      clock.forward(97)
      await settled()
    }
    expect(provider.calls).toBeLessThan(8)
  })

  it('never hands out an expired lease when the refresh loses the race', async () => {
    const { provider, obtain, clock } = set()
    await obtain()
    const held = gate()
    provider.gate = held.closed
    clock.forward(50_000)
    expect(value(await obtain())).toBe('value-1')
    clock.forward(5_000)
    const late = obtain()
    held.open()
    expect(value(await late)).toBe('value-2')
    expect(provider.calls).toBe(2)
  })

  it('refuses a lease that had expired when it came', async () => {
    const { provider, obtain } = set()
    provider.life = 0
    const refusal = await refusalOf(obtain())
    expect(refusal.reason).toBe('credential_unavailable')
    expect(refusal.detail).toContain('expired')
  })

  it('refuses a lease that expired on its way', async () => {
    const { provider, obtain, clock } = set({}, 1_000)
    provider.life = undefined
    const held = gate()
    provider.gate = held.closed
    const waiting = reasonOf(obtain())
    clock.forward(2_000)
    held.open()
    expect(await waiting).toBe('credential_unavailable')
  })

  it('uses a lease whose whole life is shorter than the skew for half of it', async () => {
    const { provider, obtain, clock } = set({ skew: 5_000 })
    provider.life = 2_000
    await obtain()
    clock.forward(999)
    expect(value(await obtain())).toBe('value-1')
    await settled()
    clock.forward(1)
    expect(value(await obtain())).toBe('value-2')
  })

  it('refreshes behind a request at 70 to 80 % of its life, once', async () => {
    const { provider, obtain, clock, events } = set({ random: () => 0.5 })
    await obtain()
    clock.forward(44_999)
    await obtain()
    expect(provider.calls).toBe(1)
    clock.forward(2)
    const held = gate()
    provider.gate = held.closed
    const leases = await Promise.all([obtain(), obtain(), obtain()])
    expect(leases.map(value)).toEqual(['value-1', 'value-1', 'value-1'])
    expect(provider.calls).toBe(2)
    held.open()
    await settled()
    expect(value(await obtain())).toBe('value-2')
    expect(events).toEqual(['miss', 'hit', 'refresh', 'hit', 'hit', 'hit', 'hit'])
  })

  it('spreads refreshes of what was made together', async () => {
    const random = [0, 0.25, 0.5, 0.75, 1]
    const { provider, obtain, clock } = set({ random: () => random.shift() ?? 0 })
    provider.byCaller = true
    provider.life = 1_000_000
    const callers = [0, 1, 2, 3, 4].map((index) => needOf(`spiffe://acme.example/${index}`))
    for (const caller of callers) await obtain(caller)
    clock.forward(700_000)
    const before: number[] = []
    for (let step = 0; step <= 4; step += 1) {
      for (const caller of callers) await obtain(caller)
      await settled()
      before.push(provider.calls)
      clock.forward(25_000)
    }
    expect(before).toEqual([6, 7, 8, 9, 10])
  })

  it('keeps what has no end and no ttl until the source says that it was replaced', async () => {
    const { provider, obtain, clock } = set()
    provider.life = undefined
    await obtain()
    clock.forward(365 * 86_400_000)
    expect(value(await obtain())).toBe('value-1')
    provider.changed?.()
    expect(value(await obtain())).toBe('value-2')
  })

  it('gives what has no end the configured ttl', async () => {
    const { provider, obtain, clock } = set({}, 60_000)
    provider.life = undefined
    expect((await obtain()).expiresAt).toBe(clock.now + 60_000)
    clock.forward(55_000)
    expect(value(await obtain())).toBe('value-2')
  })

  it('keeps the end that the source gives, whatever the ttl', async () => {
    const { obtain, clock } = set({}, 1_000)
    expect((await obtain()).expiresAt).toBe(clock.now + 60_000)
  })
})

describe('an upstream that refuses the credential', () => {
  it('gets a fresh one, once', async () => {
    const { manager, provider, obtain } = set()
    const lease = await obtain()
    expect(manager.refused(lease, needOf())).toBe(true)
    const fresh = await obtain()
    expect(value(fresh)).toBe('value-2')
    expect(manager.refused(fresh, needOf())).toBe(false)
    expect(value(await obtain())).toBe('value-2')
    expect(provider.calls).toBe(2)
  })

  it('causes one call when many requests are refused together', async () => {
    const { manager, provider, obtain } = set()
    const leases = [await obtain(), ...(await Promise.all(Array.from({ length: 99 }, () => obtain())))]
    const fresh = await Promise.all(
      leases.map((lease) => {
        expect(manager.refused(lease, needOf())).toBe(true)
        return obtain()
      }),
    )
    expect(new Set(fresh.map(value))).toEqual(new Set(['value-2']))
    expect(provider.calls).toBe(2)
  })

  it('does not drop a newer one on account of the old', async () => {
    const { manager, provider, obtain } = set()
    const lease = await obtain()
    manager.refused(lease, needOf())
    await obtain()
    expect(manager.refused(lease, needOf())).toBe(true)
    expect(value(await obtain())).toBe('value-2')
    expect(provider.calls).toBe(2)
  })

  it('that refuses everything causes ever fewer calls, not a storm', async () => {
    const { manager, provider, obtain, clock } = set()
    provider.life = 3_600_000
    for (let second = 0; second < 1_800; second += 1) {
      for (let request = 0; request < 3; request += 1) {
        const lease = await obtain()
        if (manager.refused(lease, needOf())) manager.refused(await obtain(), needOf())
      }
      clock.forward(1_000)
    }
    expect(provider.calls).toBeLessThan(12)
    expect(provider.calls).toBeGreaterThan(5)
  })

  it('gets the same Secret again where the source has no other, so that nobody need try it twice', async () => {
    const { manager, provider, obtain } = set()
    provider.constant = 'static'
    const lease = await obtain()
    expect(manager.refused(lease, needOf())).toBe(true)
    expect((await obtain()).secret).toBe(lease.secret)
  })

  it('does not cost the others their lease while the source is down', async () => {
    const { manager, provider, obtain } = set()
    const lease = await obtain()
    provider.failure = new Refusal('credential_unavailable')
    expect(manager.refused(lease, needOf())).toBe(true)
    expect((await obtain()).secret).toBe(lease.secret)
    expect(manager.refused(lease, needOf())).toBe(false)
    expect((await obtain()).secret).toBe(lease.secret)
    expect(provider.calls).toBe(2)
  })

  it('is not offered another of an unknown credential', async () => {
    const { manager, obtain } = set()
    expect(manager.refused({ ...(await obtain()), credential: 'other' }, needOf())).toBe(false)
  })
})

describe('bounds', () => {
  it('keeps no more leases than it may, and drops the one longest unused', async () => {
    const { provider, obtain } = set({ capacity: 3 })
    provider.byCaller = true
    const caller = (name: string) => obtain(needOf(`spiffe://acme.example/${name}`))
    for (const name of ['a', 'b', 'c']) await caller(name)
    await caller('a')
    await caller('d')
    expect(value(await caller('a'))).toBe('value-1')
    expect(value(await caller('c'))).toBe('value-3')
    expect(value(await caller('b'))).toBe('value-5')
  })

  it('never serves one caller the lease of another', async () => {
    const { provider, obtain } = set()
    provider.byCaller = true
    const a = await obtain(needOf('spiffe://acme.example/a'))
    const b = await obtain(needOf('spiffe://acme.example/b'))
    expect(value(a)).not.toBe(value(b))
  })
})

describe('the end', () => {
  it('takes back all that was made and has not expired', async () => {
    const { manager, provider, obtain, clock } = set()
    await obtain()
    clock.forward(61_000)
    await obtain()
    clock.forward(55_500)
    await obtain()
    await manager.close()
    expect(provider.revoked.sort()).toEqual(['value-2', 'value-3'])
    expect(provider.closed).toBe(true)
  })

  it('does not wait for a source that does not take back', async () => {
    const { manager, provider, obtain } = set({ revokeTimeout: 20 })
    await obtain()
    provider.revoke = () => new Promise(() => {})
    await manager.close()
    expect(provider.closed).toBe(true)
  })

  it('does not mind a source that fails to take back', async () => {
    const { manager, provider, obtain } = set()
    await obtain()
    provider.revoke = () => Promise.reject(new Error('no'))
    await manager.close()
    expect(provider.closed).toBe(true)
  })

  it('refuses who waits and who comes later', async () => {
    const { manager, provider, obtain } = set()
    provider.gate = gate().closed
    const waiting = reasonOf(obtain())
    await manager.close()
    expect(await waiting).toBe('shutting_down')
    expect(await reasonOf(obtain())).toBe('shutting_down')
  })
})

describe('another configuration', () => {
  it('keeps the leases of a provider that stays, takes back those of one that goes', async () => {
    const { manager, provider, obtain, clock } = set()
    const going = new CountingProvider(clock)
    manager.replace(
      new Map([
        ['counted', { provider, ttl: undefined }],
        ['going', { provider: going, ttl: undefined }],
      ]),
    )
    await obtain()
    await manager.obtain('going', needOf(), never)
    manager.replace(new Map([['counted', { provider, ttl: undefined }]]))
    expect(value(await obtain())).toBe('value-1')
    await settled()
    expect(going.revoked).toEqual(['value-1'])
    expect(going.closed).toBe(true)
    expect(provider.revoked).toEqual([])
    expect(await reasonOf(manager.obtain('going', needOf(), never))).toBe('credential_unavailable')
  })

  it('who waits for a lease of a provider that goes gets it; then it is taken back', async () => {
    const { manager, provider, obtain, clock } = set()
    const { closed, open } = gate()
    provider.gate = closed
    const waiting = obtain()
    const next = new CountingProvider(clock)
    manager.replace(new Map([['counted', { provider: next, ttl: undefined }]]))
    await obtain()
    expect(next.calls).toBe(1)
    expect(provider.closed).toBe(false)
    open()
    expect(value(await waiting)).toBe('value-1')
    await settled()
    expect(provider.revoked).toEqual(['value-1'])
    expect(provider.closed).toBe(true)
  })

  it('when all is closed nobody waits for a provider that is going', async () => {
    const { manager, provider, obtain } = set()
    provider.gate = new Promise(() => {})
    const waiting = reasonOf(obtain())
    manager.replace(new Map())
    await manager.close()
    expect(await waiting).toBe('shutting_down')
    expect(provider.closed).toBe(true)
  })
})

describe('when the clock is put back', () => {
  it('a source that failed is asked at once, and not when the clock is where it was', async () => {
    const { provider, obtain, clock } = set()
    provider.failure = new Refusal('credential_unavailable')
    expect(await reasonOf(obtain())).toBe('credential_unavailable')
    clock.forward(-3_600_000)
    provider.failure = undefined
    expect(value(await obtain())).toBe('value-2')
  })

  it('a lease whose end would lie too far ahead is made anew; one second less changes nothing', async () => {
    const { provider, obtain, clock } = set()
    await obtain()
    clock.forward(-1_000)
    expect(value(await obtain())).toBe('value-1')
    clock.forward(-3_600_000)
    expect(value(await obtain())).toBe('value-2')
    expect(provider.calls).toBe(2)
  })
})

it('tells of each event which credential and which kind', async () => {
  const events: CredentialEvent[] = []
  const { obtain } = set({ onEvent: (event) => events.push(event) })
  await obtain()
  expect(events).toEqual([{ credential: 'counted', provider: 'counting', result: 'miss' }])
})
