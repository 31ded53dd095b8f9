// Leases that are remembered in order to be taken back at the end.
import { describe, expect, it } from 'vitest'
import { CredentialManager, mostMinted } from '../../../proxy/obtain/manager.ts'
import { CountingProvider, HandClock, needOf, never } from './world.ts'

function set() {
  const clock = new HandClock()
  const provider = new CountingProvider(clock)
  provider.byCaller = true
  const manager = new CredentialManager(new Map([['counted', { provider, ttl: undefined }]]), { clock: clock.read })
  /** For so many callers, each of whom has a lease of its own; `value-1` is that of the first. */
  const mint = async (count: number, room = 'agents') => {
    for (let at = 0; at < count; at += 1)
      await manager.obtain('counted', needOf(`spiffe://acme.example/${room}/${at}`), never)
  }
  return { clock, provider, manager, mint }
}

const values = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, at) => `value-${from + at}`)

describe('tokens remembered in order to be taken back', () => {
  it('are so many at most, and the oldest is left to expire', async () => {
    const { provider, manager, mint } = set()
    await mint(mostMinted + 2)
    await manager.close()
    expect(new Set(provider.revoked)).toEqual(new Set(values(3, mostMinted + 2)))
    expect(provider.revoked).toHaveLength(mostMinted)
  })

  it('are no longer those that have expired', async () => {
    const { clock, provider, manager, mint } = set()
    await mint(10)
    clock.forward(60_000)
    await mint(5, 'others')
    await manager.close()
    expect(provider.revoked.toSorted()).toEqual(values(11, 15))
  })
})
