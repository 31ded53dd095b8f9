// Whose bundle is whose: each trust domain by its own, and by nothing that was not asked for.
import { describe, expect, test } from 'vitest'
import { Changes } from '../../../certs/changes.ts'
import type { BundleFeed } from '../../../certs/federation/feed.ts'
import { TrustedDomains } from '../../../certs/federation/trusted-domains.ts'
import type { SvidSource, TrustBundle } from '../../../certs/source.ts'
import { parseTrustDomain, type TrustDomain } from '../../../certs/spiffe-id.ts'
import { makeAuthority, makeBundle, ownSvid } from '../../support/pki.ts'

const acme = parseTrustDomain('acme.example')
const b = parseTrustDomain('b.example')
const c = parseTrustDomain('c.example')

/** Settings are the name of a root; the feed has its bundle at once. */
function world() {
  const log: string[] = []
  const root = makeAuthority()
  const changes = new Changes()
  const own = makeBundle('acme.example', root)
  const bundles = [own, makeBundle('b.example', makeAuthority())]
  const source: SvidSource = {
    svid: () => ownSvid(root, 'spiffe://acme.example/postern'),
    jwt: async () => 'a token',
    updates: (signal) => changes.since(signal),
    bundle: (domain) => bundles.find(({ trustDomain }) => trustDomain === domain),
  }
  const trusted = new TrustedDomains<string>({
    source,
    local: new Set([acme]),
    feedOf(trustDomain: TrustDomain, settings): BundleFeed {
      log.push(`made ${trustDomain} ${settings}`)
      const bundle: TrustBundle = makeBundle(trustDomain, makeAuthority())
      return {
        bundle,
        status: { state: 'held' },
        start: async () => void log.push(`started ${trustDomain} ${settings}`),
        close: () => void log.push(`closed ${trustDomain} ${settings}`),
      }
    },
  })
  return { trusted, changes, own, log }
}

describe('the trusted domains', () => {
  test('are the own one alone, where no other is named: what the source gives besides counts for nothing', () => {
    const { trusted, own } = world()
    expect(trusted.bundle(acme)).toBe(own)
    expect(trusted.bundle(b)).toBeUndefined()
  })

  test('no federation speaks for the own domain', async () => {
    const { trusted, own } = world()
    await trusted.prepare(new Map([[acme, 'evil']]))()
    expect(trusted.bundle(acme)).toBe(own)
  })

  test('a change concerns what has changed alone: the others go on as they are, and what is gone is closed', async () => {
    const { trusted, log } = world()
    await trusted.prepare(
      new Map([
        [b, 'one'],
        [c, 'one'],
      ]),
    )()
    const before = trusted.bundle(c)
    const { epoch } = trusted
    const take = trusted.prepare(new Map([[c, 'one']]))
    expect(trusted.bundle(b)).toBeDefined()
    await take()
    expect(trusted.bundle(b)).toBeUndefined()
    expect(trusted.bundle(c)).toBe(before)
    expect(trusted.epoch).toBeGreaterThan(epoch)
    await trusted.prepare(new Map([[c, 'two']]))()
    expect(trusted.bundle(c)).not.toBe(before)
    await trusted.close()
    expect(trusted.bundle(c)).toBeUndefined()
    expect(log.filter((line) => !line.startsWith('made'))).toEqual([
      'started b.example one',
      'started c.example one',
      'closed b.example one',
      'closed c.example one',
      'started c.example two',
      'closed c.example two',
    ])
  })

  test('count the changes of the own source, too', async () => {
    const { trusted, changes } = world()
    const stopped = new AbortController()
    const following = trusted.follow(stopped.signal)
    const { epoch } = trusted
    changes.announce()
    await expect.poll(() => trusted.epoch).toBeGreaterThan(epoch)
    stopped.abort()
    await following
  })
})
