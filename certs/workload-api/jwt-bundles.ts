// What a message with JWT bundles says: the keys that verify the JWT-SVIDs of each trust domain.
import { isDeepStrictEqual } from 'node:util'
import type { JWK } from 'jose'
import { readKeySet } from '../bundle/signing-keys.ts'
import { parseTrustDomain, type TrustDomain } from '../spiffe-id.ts'
import { readJwtBundlesAnswer } from './proto.ts'
import { text } from './protobuf.ts'

/**
 * @param message a whole answer of FetchJWTBundles
 * @param before what was known, so that keys that are the same stay the same objects
 * @throws Error that says why the message is to be discarded
 */
export function readJwtBundles(
  message: Uint8Array,
  before: ReadonlyMap<TrustDomain, readonly JWK[]>,
): ReadonlyMap<TrustDomain, readonly JWK[]> {
  const bundles = new Map<TrustDomain, readonly JWK[]>()
  for (const [id, document] of readJwtBundlesAnswer(message)) {
    const trustDomain = parseTrustDomain(id)
    // A key without an identifier is never found by a token, which must name one (JWT-SVID §2.2; as go-spiffe).
    const keys = readKeySet(text(document))
    const known = before.get(trustDomain)
    bundles.set(trustDomain, known !== undefined && isDeepStrictEqual(known, keys) ? known : keys)
  }
  if (bundles.size === 0) throw new Error('there is no bundle')
  return bundles
}
