// Which bundle endpoint is believed to be the one that is meant.
import { beforeEach, describe, expect, test } from 'vitest'
import { EndpointTrust } from '../../../certs/federation/endpoint-trust.ts'
import type { TrustBundle } from '../../../certs/source.ts'
import { parseSpiffeId, parseTrustDomain } from '../../../certs/spiffe-id.ts'
import { makeAuthority, makeBundle, makeSvid } from '../../support/pki.ts'

const trustDomain = parseTrustDomain('b.example')
const self = 'spiffe://b.example/bundles'
const foreign = 'spiffe://hub.example/bundles'
const root = makeAuthority()
const next = makeAuthority()
const day = 86_400_000

let configured: TrustBundle | undefined
let told: TrustBundle | undefined
let others: TrustBundle[]
let now: number
beforeEach(() => {
  configured = makeBundle('b.example', root)
  told = undefined
  others = []
  now = Date.now()
})

function endpoint(id: string): EndpointTrust {
  return new EndpointTrust({
    endpointId: parseSpiffeId(id),
    trustDomain,
    configured: () => configured,
    told: () => told,
    others: (domain) => others.find((each) => each.trustDomain === domain),
    now: () => now,
  })
}

const chain = (id: string, authority = root) => makeSvid(authority, id).chain

describe('an endpoint of the trust domain that it serves', () => {
  test('is believed by the configured bundle, and only with exactly its ID', () => {
    expect(endpoint(self).judge(chain(self))).toBeUndefined()
    expect(() => endpoint(self).judge(chain(`${self}/x`))).toThrow(
      'the server is spiffe://b.example/bundles/x, not spiffe://b.example/bundles',
    )
    expect(() => endpoint(self).judge(chain(self, next))).toThrow(/svid_no_path_to_root/)
    expect(() => endpoint(self).judge([])).toThrow(/svid_missing/)
  })

  test('is not believed by the bundle of another domain', () => {
    others = [makeBundle('hub.example', root)]
    expect(() => endpoint(self).judge(chain(foreign))).toThrow(/svid_untrusted_domain/)
  })

  test('is believed by what it told, once it has: the bundle refreshes itself', () => {
    const trust = endpoint(self)
    told = makeBundle('b.example', next)
    trust.taken()
    expect(trust.judge(chain(self, next))).toBeUndefined()
    expect(() => trust.judge(chain(self, root))).toThrow(/svid_no_path_to_root/)
  })

  test('that told an empty bundle is believed no more, until an operator changes the configured one', () => {
    const trust = endpoint(self)
    told = makeBundle('b.example')
    trust.taken()
    expect(() => trust.judge(chain(self, root))).toThrow(/svid_no_path_to_root/)
    configured = makeBundle('b.example', next)
    expect(trust.judge(chain(self, next))).toBeUndefined()
  })

  test.each([day, -day])('is not believed while the clock is %i ms off, and again afterwards', (jump) => {
    const trust = endpoint(self)
    const svid = chain(self)
    now += jump
    expect(() => trust.judge(svid)).toThrow(jump > 0 ? /svid_expired/ : /svid_not_yet_valid/)
    now -= jump
    expect(trust.judge(svid)).toBeUndefined()
  })
})

describe('an endpoint of another trust domain', () => {
  test('is believed by the configured bundle, whatever it tells of the domain that it serves', () => {
    configured = makeBundle('hub.example', root)
    const trust = endpoint(foreign)
    told = makeBundle('b.example', next)
    trust.taken()
    expect(trust.judge(chain(foreign))).toBeUndefined()
    expect(() => trust.judge(chain(foreign, next))).toThrow(/svid_no_path_to_root/)
  })

  test('is believed by the bundle that there is of its domain anyway', () => {
    configured = undefined
    expect(() => endpoint(foreign).judge(chain(foreign))).toThrow(/svid_untrusted_domain/)
    others = [makeBundle('hub.example', root)]
    expect(endpoint(foreign).judge(chain(foreign))).toBeUndefined()
  })
})
