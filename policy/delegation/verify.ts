// Verification of a delegation chain, steps 1 to 7 of ten: what can be said of a chain by looking at it, in a fixed order.
import { hash, type KeyObject, timingSafeEqual } from 'node:crypto'
import type { VerifiedChain, VerifiedHop } from './chain.ts'
import { dimension, firstWidened } from './constraints.ts'
import { ChainError } from './error.ts'
import { isSigned, issuerOf, type Roots, verifier } from './keys.ts'
import { isCovered } from './scope.ts'
import { algorithm, mostTokens, readToken, type Token } from './token.ts'

export const separator = '~'
/** Bytes. */
const longestChain = 256 * 1024
/** Seconds by which the clock of an issuer may be ahead; an expiry is never stretched. */
const skew = 30

/**
 * Denies on the first failure; a step looks at all tokens before the next step begins.
 * @param now epoch milliseconds
 * @throws ChainError
 */
export function verifyChain(text: string, roots: Roots, now: number): VerifiedChain {
  // 1. The form: nothing can be read in two ways.
  const tokens = readChain(text)
  // 2. The signatures: the root by a pinned key, each other by the key that its parent names.
  const keyId = checkSignatures(tokens, roots)
  // 3. The order: each child commits to the very token that it was made from.
  const digests = checkParents(tokens)
  // 4. The length, which no child may raise.
  const maxDepth = checkDepths(tokens)
  // 5. The principal and the transaction are those of the root; no agent comes twice.
  checkPrincipal(tokens)
  // 6. Authority only shrinks.
  checkNarrowing(tokens)
  // 7. Now is within the time of each, and no child outlives its parent.
  checkTimes(tokens, now)

  const hops = tokens.map((token, index) => hopOf(token, digests[index] ?? ''))
  const [first, last] = [hops[0], hops.at(-1)]
  const root = tokens[0]?.claims
  if (first === undefined || last === undefined || root === undefined) {
    throw new ChainError('chain_malformed', 'a chain has no token')
  }
  return {
    text,
    digest: hash('sha256', text, 'base64url'),
    hops,
    leaf: last,
    principal: { kind: root.sub === first.id ? 'agent' : 'user', id: root.sub },
    txn: root.txn,
    depth: hops.length - 1,
    maxDepth,
    root: { issuer: root.iss, keyId },
    validFrom: Math.max(...tokens.map(({ claims }) => Math.max(claims.iat, claims.nbf) - skew)) * 1000,
    expiresAt: Math.min(...hops.map(({ expiresAt }) => expiresAt)),
  }
}

function readChain(text: string): readonly Token[] {
  if (text.length > longestChain) throw new ChainError('chain_malformed', `longer than ${longestChain} bytes`)
  // One more than there may be tells that there are too many.
  const parts = text.split(separator, mostTokens + 1)
  if (parts.length > mostTokens) throw new ChainError('chain_malformed', `more than ${mostTokens} tokens`)
  const tokens = parts.map((part, hop) => at(hop, () => readToken(part)))
  const seen = new Set<string>()
  tokens.forEach(({ claims, keyId }, hop) => {
    if (seen.has(claims.jti)) throw new ChainError('chain_malformed', 'a jti comes twice', hop)
    seen.add(claims.jti)
    if (hop === 0 && claims.maxDepth === undefined) throw new ChainError('chain_malformed', 'no del_max_depth', hop)
    if ((hop === 0) !== (keyId !== undefined)) {
      throw new ChainError('chain_malformed', 'a root names its key, and nothing else does', hop)
    }
  })
  return tokens
}

function checkSignatures(tokens: readonly Token[], roots: Roots): string {
  let key: KeyObject | undefined
  let issuer: string | undefined
  let rootKey = ''
  tokens.forEach((token, hop) => {
    const fail = (detail: string) => new ChainError('chain_signature_invalid', detail, hop)
    // The list is our own, and the key is of this algorithm: `none`, HS256 with the public key and EdDSA have no way in.
    if (token.algorithm !== algorithm) throw fail(`the algorithm is not ${algorithm}`)
    if (hop === 0) {
      rootKey = token.keyId ?? ''
      key = roots.find(token.claims.iss, rootKey)
      if (key === undefined) throw fail('the issuer is not trusted, or has no such key')
    } else if (token.claims.iss !== issuer) throw fail('the issuer is not the key that the parent names')
    if (key === undefined || !isSigned(token.input, token.signature, key)) throw fail('the signature does not verify')
    issuer = issuerOf(token.claims.key)
    // What the last token names signs nothing here.
    if (hop + 1 < tokens.length) key = keyOf(token, hop)
  })
  return rootKey
}

function keyOf(token: Token, hop: number): KeyObject {
  try {
    return verifier(token.claims.key)
  } catch (cause) {
    throw Object.assign(new ChainError('chain_signature_invalid', 'the key that it names is none', hop), { cause })
  }
}

function checkParents(tokens: readonly Token[]): readonly string[] {
  const digests = tokens.map(({ input }) => hash('sha256', input, 'base64url'))
  tokens.forEach(({ claims }, hop) => {
    const expected = digests[hop - 1]
    if (expected === undefined ? claims.parentHash !== undefined : !isEqual(claims.parentHash, expected)) {
      throw new ChainError('chain_par_hash_mismatch', 'it was not made from the token before it', hop)
    }
  })
  return digests
}

function checkDepths(tokens: readonly Token[]): number {
  let most = mostTokens
  tokens.forEach(({ claims }, hop) => {
    const fail = (detail: string) => new ChainError('chain_depth_invalid', detail, hop)
    if (claims.depth !== hop) throw fail('del_depth is not its place in the chain')
    if (claims.maxDepth !== undefined && claims.maxDepth > most) throw fail('del_max_depth is raised')
    most = Math.min(most, claims.maxDepth ?? most)
    if (hop >= most) throw fail(`more than ${most} tokens`)
  })
  return most
}

function checkPrincipal(tokens: readonly Token[]): void {
  const root = tokens[0]?.claims
  const agents = new Set<string>()
  tokens.forEach(({ claims }, hop) => {
    if (claims.sub !== root?.sub) throw new ChainError('chain_principal_altered', 'sub is not that of the root', hop)
    if (claims.txn !== root.txn) throw new ChainError('chain_principal_altered', 'txn is not that of the root', hop)
    if (agents.has(claims.agent)) throw new ChainError('chain_loop', 'an agent comes twice', hop)
    agents.add(claims.agent)
  })
}

function checkNarrowing(tokens: readonly Token[]): void {
  tokens.forEach(({ claims }, hop) => {
    const parent = tokens[hop - 1]?.claims
    if (parent === undefined) return
    const wider = claims.scopes.find((scope) => !isCovered(scope, parent.scopes))
    if (wider !== undefined) throw new ChainError('chain_not_narrower', `the parent does not hold ${wider}`, hop)
    const widened = firstWidened(parent.constraints, claims.constraints)
    if (widened !== undefined) throw new ChainError('chain_not_narrower', `wider at ${dimension(widened)}`, hop)
  })
}

function checkTimes(tokens: readonly Token[], now: number): void {
  const latest = now / 1000 + skew
  tokens.forEach(({ claims }, hop) => {
    const parent = tokens[hop - 1]?.claims
    const fail = (detail: string) => new ChainError('chain_expired', detail, hop)
    if (claims.iat > latest) throw fail('it was issued in the future')
    if (claims.nbf > latest) throw fail('it is not valid yet')
    if (now > claims.exp * 1000) throw fail('it has expired')
    if (parent !== undefined && claims.exp > parent.exp) throw fail('it outlives its parent')
    if (parent !== undefined && claims.iat < parent.iat) throw fail('it is older than its parent')
  })
}

function hopOf({ claims }: Token, digest: string): VerifiedHop {
  return {
    id: claims.agent,
    jti: claims.jti,
    scopes: claims.scopes,
    constraints: claims.constraints,
    issuedAt: claims.iat * 1000,
    expiresAt: claims.exp * 1000,
    audience: claims.audience,
    thumbprint: claims.key.thumbprint,
    digest,
    status: claims.status,
  }
}

function isEqual(found: string | undefined, expected: string): boolean {
  if (found?.length !== expected.length) return false
  return timingSafeEqual(Buffer.from(found), Buffer.from(expected))
}

function at<Result>(hop: number, read: () => Result): Result {
  try {
    return read()
  } catch (error) {
    if (error instanceof ChainError) throw new ChainError(error.reason, error.detail, hop)
    throw error
  }
}
