// Making tokens: the root grant of a principal to an agent, and the child that an agent hands on. Never more than there was.
import { hash } from 'node:crypto'
import { type SpiffeId, type TrustDomain, trustDomainOf } from '../../certs/spiffe-id.ts'
import type { VerifiedChain } from './chain.ts'
import { type Constraint, dimension, firstWidened, meetConstraints } from './constraints.ts'
import { ChainError } from './error.ts'
import { HeldChain, type Revocations } from './hold.ts'
import { type DelegationKey, issuerOf, type PublicKey } from './keys.ts'
import { isCovered, meetScopes } from './scope.ts'
import { type Claims, mostTokens, readToken, writeInput } from './token.ts'
import { separator } from './verify.ts'

/** Which of the eight checks refuses. Chains themselves are refused with a ChainError (checks 1 and 2). */
export const delegationReasons = {
  delegation_malformed: 0,
  delegation_wrong_key: 1,
  delegation_denied_by_rule: 3,
  delegation_loop: 4,
  delegation_domain_not_allowed: 4,
  delegation_too_deep: 5,
  delegation_not_narrower: 6,
  delegation_lifetime: 7,
  delegation_not_recorded: 8,
} as const

export type DelegationReason = keyof typeof delegationReasons

export class DelegationError extends Error {
  override readonly name = 'DelegationError'
  readonly reason: DelegationReason
  readonly check: number
  readonly detail: string

  constructor(reason: DelegationReason, detail: string, cause?: unknown) {
    super(`${reason}: ${detail}`, cause === undefined ? undefined : { cause })
    this.reason = reason
    this.check = delegationReasons[reason]
    this.detail = detail
  }
}

/** Tokens, the root included. */
export const usualMaxDepth = 3
/** Seconds. */
export const usualChildLifetime = 600
/** Seconds: no grant lives longer. */
export const longestLifetime = 3600

export interface RootGrant {
  readonly principal: string
  readonly agent: SpiffeId
  readonly key: PublicKey
  readonly audience: readonly string[]
  readonly scopes: readonly string[]
  readonly constraints: readonly Constraint[]
  /** Seconds; at most `longestLifetime`. */
  readonly lifetime: number
  /** In tokens; without it `usualMaxDepth`. */
  readonly maxDepth?: number
  readonly txn: string
  readonly jti: string
  readonly status?: { readonly uri: string; readonly index: number }
}

/** Who may begin a chain: an issuer, and the key by which it is pinned. */
export interface RootSigner {
  readonly issuer: string
  readonly keyId: string
  readonly key: DelegationKey
}

/**
 * @param now epoch milliseconds
 * @returns a chain of one token
 * @throws DelegationError delegation_lifetime, delegation_too_deep, delegation_malformed
 */
export function mintRoot(grant: RootGrant, signer: RootSigner, now: number): string {
  const { maxDepth = usualMaxDepth } = grant
  checkCount('delegation_too_deep', maxDepth, mostTokens)
  checkCount('delegation_lifetime', grant.lifetime, longestLifetime)
  const iat = Math.floor(now / 1000)
  return signed(signer.key, signer.keyId, {
    iss: signer.issuer,
    sub: grant.principal,
    agent: grant.agent,
    audience: grant.audience,
    iat,
    nbf: iat,
    exp: iat + grant.lifetime,
    jti: grant.jti,
    txn: grant.txn,
    key: grant.key,
    depth: 0,
    maxDepth,
    parentHash: undefined,
    scopes: grant.scopes,
    constraints: grant.constraints,
    status: grant.status,
  })
}

/** What an agent asks to hand on. Scopes and constraints are read by `readScopes` and `readConstraints`. */
export interface ChildOrder {
  readonly child: SpiffeId
  /** Proven to be the child's. */
  readonly childKey: PublicKey
  readonly scopes: readonly string[]
  readonly constraints: readonly Constraint[]
  /** Seconds; without it `usualChildLifetime`. */
  readonly ttl?: number
  /** In tokens, the root included; may only lower what holds already. */
  readonly maxDepth?: number
  /** Take what parent and order have in common, where the order is wider. */
  readonly narrow?: boolean
  readonly jti: string
}

/** What is written down of a handoff before the child can be used. */
export interface Handoff {
  readonly parent: VerifiedChain
  readonly child: SpiffeId
  readonly jti: string
  readonly thumbprint: string
  readonly depth: number
  readonly maxDepth: number
  readonly scopes: readonly string[]
  readonly constraints: readonly Constraint[]
  /** Epoch milliseconds. */
  readonly expiresAt: number
  /** Scopes that were asked for and not given. */
  readonly droppedScopes: readonly string[]
  /** Dimensions (`host one_of`) at which less was given than asked for. */
  readonly droppedConstraints: readonly string[]
  /** The child may do all that its parent may: legal, and worth a look. */
  readonly isSameAuthority: boolean
  /** SHA-256 of the signing input of the new token, base64url. */
  readonly digest: string
}

export interface MintGate {
  /** The attested identity of who asks. */
  readonly caller: SpiffeId
  /** The key that signs for the caller. */
  readonly key: DelegationKey
  readonly revocations: Revocations
  /** Trust domains whose agents a child may be of. Empty: none. */
  readonly trustDomains: ReadonlySet<TrustDomain>
  /** @returns why the rules say no, or undefined */
  denial(parent: VerifiedChain, order: ChildOrder): string | undefined
  /** Resolves when it is written. */
  record(handoff: Handoff): void | Promise<void>
}

/**
 * The eight checks of a handoff, in order.
 * @param parent of which steps 1 to 7 hold now
 * @param now epoch milliseconds
 * @returns the chain for the child, and what was recorded
 * @throws ChainError when the parent is revoked or not the caller's; DelegationError
 */
export async function mintChild(
  parent: VerifiedChain,
  order: ChildOrder,
  gate: MintGate,
  now: number,
): Promise<{ readonly chain: string; readonly handoff: Handoff }> {
  // 1, 2. Nothing of the parent is revoked, it is the caller's, and the key is the one that the parent names.
  HeldChain.hold(parent, gate.caller, gate.revocations)
  if (gate.key.public.thumbprint !== parent.leaf.thumbprint) {
    throw new DelegationError('delegation_wrong_key', 'the parent names another key')
  }
  // 3. The rules allow it.
  const denial = gate.denial(parent, order)
  if (denial !== undefined) throw new DelegationError('delegation_denied_by_rule', denial)
  // 4. The child is not of the chain yet, and of a trust domain that may be.
  checkChild(parent, order.child, gate.trustDomains)
  // 5. There is room for one more token.
  const depth = parent.depth + 1
  const maxDepth = maxDepthOf(parent, order)
  // 6. It is no more than the parent has. Narrowing unasked would hide that somebody tried.
  const authority = order.narrow === true ? narrowed(parent, order) : contained(parent, order)
  // 7. It ends with the parent at the latest.
  const { iat, exp } = timesOf(parent, order, now)
  // 8. It is signed, and written down before anybody has it.
  const claims: Claims = {
    iss: issuerOf(gate.key.public),
    sub: parent.principal.id,
    agent: order.child,
    audience: parent.leaf.audience,
    iat,
    nbf: iat,
    exp,
    jti: order.jti,
    txn: parent.txn,
    key: order.childKey,
    depth,
    maxDepth: order.maxDepth === undefined ? undefined : maxDepth,
    parentHash: parent.leaf.digest,
    scopes: authority.scopes,
    constraints: authority.constraints,
    status: undefined,
  }
  const token = signed(gate.key, undefined, claims)
  const handoff: Handoff = {
    parent,
    child: order.child,
    jti: order.jti,
    thumbprint: order.childKey.thumbprint,
    depth,
    maxDepth,
    expiresAt: exp * 1000,
    ...authority,
    isSameAuthority: isSame(parent, authority),
    digest: hash('sha256', token.slice(0, token.lastIndexOf('.')), 'base64url'),
  }
  try {
    await gate.record(handoff)
  } catch (cause) {
    throw new DelegationError('delegation_not_recorded', 'the handoff could not be written down', cause)
  }
  return { chain: `${parent.text}${separator}${token}`, handoff }
}

interface Authority {
  readonly scopes: readonly string[]
  readonly constraints: readonly Constraint[]
  readonly droppedScopes: readonly string[]
  readonly droppedConstraints: readonly string[]
}

function checkChild(parent: VerifiedChain, child: SpiffeId, trustDomains: ReadonlySet<TrustDomain>): void {
  if (parent.hops.some(({ id }) => id === child)) {
    throw new DelegationError('delegation_loop', 'the child is in the chain already')
  }
  if (!trustDomains.has(trustDomainOf(child))) {
    throw new DelegationError('delegation_domain_not_allowed', 'nothing is handed to the trust domain of the child')
  }
}

function maxDepthOf(parent: VerifiedChain, order: ChildOrder): number {
  const { maxDepth = parent.maxDepth } = order
  checkCount('delegation_too_deep', maxDepth, parent.maxDepth)
  if (parent.depth + 1 >= maxDepth) {
    throw new DelegationError('delegation_too_deep', `a chain like this ends after ${maxDepth} tokens`)
  }
  return maxDepth
}

/** As asked, which must be within the parent; what the order does not bound, the parent's bounds do. */
function contained({ leaf }: VerifiedChain, order: ChildOrder): Authority {
  const wider = order.scopes.find((scope) => !isCovered(scope, leaf.scopes))
  if (wider !== undefined) throw new DelegationError('delegation_not_narrower', `the parent does not hold ${wider}`)
  const asked = new Set(order.constraints.map(dimension))
  const inherited = leaf.constraints.filter((constraint) => !asked.has(dimension(constraint)))
  const constraints = [...inherited, ...order.constraints]
  const widened = firstWidened(leaf.constraints, constraints)
  if (widened !== undefined) throw new DelegationError('delegation_not_narrower', `wider at ${dimension(widened)}`)
  return { scopes: order.scopes, constraints, droppedScopes: [], droppedConstraints: [] }
}

function narrowed({ leaf }: VerifiedChain, order: ChildOrder): Authority {
  const scopes = meetScopes(leaf.scopes, order.scopes)
  if (scopes.length === 0) throw new DelegationError('delegation_not_narrower', 'the parent holds none of the scopes')
  const constraints = meetConstraints(leaf.constraints, order.constraints)
  if ('nothingAt' in constraints) {
    throw new DelegationError('delegation_not_narrower', `nothing is left at ${constraints.nothingAt}`)
  }
  const met = new Map(constraints.map((constraint) => [dimension(constraint), constraint]))
  const isDropped = (asked: Constraint) => {
    const given = met.get(dimension(asked))
    return given !== undefined && firstWidened([given], [asked]) !== undefined
  }
  return {
    scopes,
    constraints,
    droppedScopes: order.scopes.filter((scope) => !isCovered(scope, leaf.scopes)),
    droppedConstraints: order.constraints.filter(isDropped).map(dimension),
  }
}

function timesOf(parent: VerifiedChain, order: ChildOrder, now: number): { iat: number; exp: number } {
  const { ttl = usualChildLifetime } = order
  checkCount('delegation_lifetime', ttl, longestLifetime)
  // A parent from a clock that is ahead is not older than its child for that.
  const iat = Math.max(Math.floor(now / 1000), parent.leaf.issuedAt / 1000)
  const exp = Math.min(parent.leaf.expiresAt / 1000, iat + ttl)
  if (exp * 1000 <= now) throw new DelegationError('delegation_lifetime', 'the parent has no time left')
  return { iat, exp }
}

function isSame({ leaf }: VerifiedChain, { scopes, constraints }: Authority): boolean {
  return (
    leaf.scopes.every((scope) => isCovered(scope, scopes)) && firstWidened(constraints, leaf.constraints) === undefined
  )
}

function checkCount(reason: DelegationReason, value: number, most: number): void {
  if (!Number.isSafeInteger(value) || value < 1 || value > most) {
    throw new DelegationError(reason, `not a whole number from 1 to ${most}`)
  }
}

/** Reads what it made: nothing leaves that would be refused as malformed where it arrives. */
function signed(key: DelegationKey, keyId: string | undefined, claims: Claims): string {
  const input = writeInput(keyId, claims)
  const token = `${input}.${key.sign(input).toString('base64url')}`
  try {
    readToken(token)
  } catch (error) {
    if (error instanceof ChainError) throw new DelegationError('delegation_malformed', error.detail, error)
    throw error
  }
  return token
}
