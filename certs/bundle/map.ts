// A SPIFFE bundle map (Trust Domain and Bundle §5): the bundles of several trust domains in one document, each for itself.
import { parseTrustDomain, SpiffeIdError, type TrustDomain } from '../spiffe-id.ts'
import { type BundleDocument, documentOf } from './document.ts'
import { BundleError } from './error.ts'
import type { JsonObject } from './json.ts'
import { isObject } from './members.ts'

/**
 * A trust domain that stands twice makes the whole document invalid, as does one bundle that is.
 * @throws BundleError
 */
export function mapOf(map: JsonObject): ReadonlyMap<TrustDomain, BundleDocument> {
  const domains = map.get('trust_domains')
  if (!isObject(domains)) throw new BundleError('bundle_no_trust_domains', 'it has no map of trust domains')
  const bundles = new Map<TrustDomain, BundleDocument>()
  for (const [name, bundle] of domains) {
    const trustDomain = domainOf(name)
    if (!isObject(bundle)) throw new BundleError('bundle_no_keys', 'a bundle is not an object')
    bundles.set(trustDomain, documentOf(trustDomain, bundle))
  }
  return bundles
}

/** The name alone: a second spelling of it, the ID, would be a second member of the map. */
function domainOf(name: string): TrustDomain {
  try {
    const trustDomain = parseTrustDomain(name)
    if (trustDomain === name) return trustDomain
  } catch (error) {
    if (!(error instanceof SpiffeIdError)) throw error
  }
  throw new BundleError('bundle_bad_trust_domain', 'a bundle is not under the name of a trust domain')
}
