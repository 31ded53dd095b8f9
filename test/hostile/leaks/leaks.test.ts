// A share of the leak matrix, and whether it would notice; all of it: npm run test:leaks.
import { gzipSync } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import { tryAll } from './matrix.ts'
import { tryNoise } from './noise.ts'
import { Reader, unpacked } from './reader.ts'
import { tryUpgraded } from './upgraded.ts'
import { openWorld, ways } from './world.ts'
import { writers } from './writers.ts'

describe('an upstream that gives the credential back in many ways', () => {
  it('gives nothing of it to the agent', async () => {
    await using world = await openWorld()
    const { combinations, leaks, unread, blanked } = await tryAll(world, 1_000)
    expect({ leaks, unread, missing: world.missing() }).toEqual({ leaks: [], unread: [], missing: 0 })
    expect(combinations).toBeGreaterThan(150)
    expect(blanked / combinations).toBeGreaterThan(0.9)
  })

  it('gives nothing of it to the agent over an upgraded connection', async () => {
    await using world = await openWorld()
    const { combinations, leaks, unread } = await tryUpgraded(world, 60)
    expect({ leaks, unread, missing: world.missing() }).toEqual({ leaks: [], unread: [], missing: 0 })
    expect(combinations).toBeGreaterThan(200)
  })

  it('gives it away nearly each time where it is trusted, so that the matrix would tell', async () => {
    await using world = await openWorld({ echo: 'trusted-echo' })
    const { combinations, leaks } = await tryAll(world, 3_000)
    expect(leaks.length / combinations).toBeGreaterThan(0.9)
    const upgraded = await tryUpgraded(world, 80)
    expect(upgraded.leaks.length).toBeGreaterThan(5)
  })
})

describe('the reader, which shares nothing with the scanner', () => {
  it.each(Object.keys(writers))('reads what is written as: %s', (name) => {
    for (const { secret } of Object.values(ways)) {
      const reader = new Reader(secret)
      const text = writers[name]?.(secret) ?? ''
      expect(reader.reads(Buffer.from(`before ${text} after`))).toBe(true)
      expect(reader.reads(unpacked(gzipSync(text), 'gzip'))).toBe(true)
      expect(reader.reads(Buffer.from(writers[name]?.('*'.repeat(secret.length)) ?? ''))).toBe(false)
    }
  })
})

describe('bytes in which no credential stands', () => {
  it('are not taken for one', () => {
    const secrets = Object.values(ways).map(({ secret }) => secret)
    expect(tryNoise(1e6, secrets).filter(({ found }) => found > 0)).toEqual([])
  })
})
