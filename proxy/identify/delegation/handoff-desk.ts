// Makes delegations for agents: at the root what the configuration grants them, below it what they hand on themselves.
import type { SpiffeId, TrustDomain } from '../../../certs/spiffe-id.ts'
import { agentMatches } from '../../../policy/agents.ts'
import type { VerifiedChain } from '../../../policy/delegation/chain.ts'
import { type Constraint, dimension, firstWidened, readConstraints } from '../../../policy/delegation/constraints.ts'
import { ChainError } from '../../../policy/delegation/error.ts'
import { HeldChain, type Revocations } from '../../../policy/delegation/hold.ts'
import { DelegationKey, type Roots } from '../../../policy/delegation/keys.ts'
import {
  type ChildOrder,
  DelegationError,
  type Handoff,
  mintChild,
  mintRoot,
  type RootSigner,
} from '../../../policy/delegation/mint.ts'
import { isCovered } from '../../../policy/delegation/scope.ts'
import type { JsonValue } from '../../../policy/delegation/strict-json.ts'
import { readScopes } from '../../../policy/delegation/token.ts'
import { verifyChain } from '../../../policy/delegation/verify.ts'
import { compileGlob } from '../../../policy/glob.ts'
import type { AgentKey, Delegated, DelegationDesk, DelegationRequest } from '../../door/desk.ts'
import type { Identified } from '../../exchange.ts'
import { Refusal } from '../../refusal.ts'
import type { Secret } from '../../secret.ts'
import type { KernelFacts } from '../kernel/facts.ts'
import type { AgentKeys } from './agent-keys.ts'
import type { Held, HeldDelegations } from './held.ts'
import { type Holder, holderBelow } from './holder.ts'
import { type DelegationSettings, type GrantSettings, usualHandoff } from './settings.ts'

/** A user who was shown by a token of an issuer that counts. */
export interface ShownUser {
  readonly id: string
  /** Epoch milliseconds. */
  readonly expiresAt: number
  readonly token: Secret
}

/** What is written down of a delegation. */
export type DelegationEvent =
  | {
      readonly event: 'created'
      readonly asked: Identified
      readonly chain: VerifiedChain
      readonly handoff: Handoff | undefined
    }
  | {
      readonly event: 'denied'
      readonly asked: Identified
      readonly to: SpiffeId
      readonly scopes: readonly string[]
      readonly refusal: Refusal
    }
  | { readonly event: 'revoked'; readonly asked: Identified; readonly chain: VerifiedChain; readonly jti: string }

export interface DeskOptions {
  /** As configured now. */
  readonly settings: () => DelegationSettings
  readonly signer: RootSigner
  readonly roots: Roots
  readonly revocations: Revocations
  readonly held: HeldDelegations
  readonly keys: AgentKeys
  /** What a request presents, if it presents a handle. */
  readonly heldBy: (asked: Identified) => Held | undefined
  /** Trust domains whose agents may be handed something. */
  readonly trustDomains: () => ReadonlySet<TrustDomain>
  readonly audience: string
  readonly facts: Pick<KernelFacts, 'socketOwner' | 'limit'>
  /** @throws Refusal `user_token_*` */
  readonly verifyUser: (token: Secret, now: number) => Promise<ShownUser>
  readonly newId: () => string
  /** Resolves when it is written down. */
  readonly record: (event: DelegationEvent) => Promise<void>
  /** Takes back a delegation and all below it, until then. */
  readonly revoke: (jti: string, reason: string, until: number) => Promise<void>
}

/** What can be handed on of. */
type Parent = Pick<Held, 'chain' | 'userToken'> & { readonly key: DelegationKey }

/** What is handed on, read. */
interface Wanted {
  readonly scopes: readonly string[]
  readonly constraints: readonly Constraint[]
}

export class HandoffDesk implements DelegationDesk {
  readonly #options: DeskOptions

  constructor(options: DeskOptions) {
    this.#options = options
  }

  async make(asked: Identified, request: DelegationRequest): Promise<Delegated> {
    try {
      const wanted = read(request)
      const parent = this.#parentOf(asked)
      return parent === undefined
        ? await this.#begin(asked, request, wanted)
        : await this.#handOn(asked, parent, request, wanted)
    } catch (error) {
      const refusal = Refusal.from(inWords(error))
      const { scopes, to = asked.caller.id } = request
      await this.#options.record({ event: 'denied', asked, to, scopes, refusal }).catch(() => {})
      throw refusal
    }
  }

  keyOf({ caller }: Identified): AgentKey {
    return { kty: 'OKP', crv: 'Ed25519', alg: 'Ed25519', x: this.#options.keys.of(caller.id).public.x }
  }

  adopt(asked: Identified, text: string): Delegated {
    const { roots, revocations, keys } = this.#options
    const { caller, receivedAt: now } = asked
    try {
      const chain = verifyChain(text, roots, now)
      HeldChain.hold(chain, caller.id, revocations)
      const key = keys.of(caller.id)
      const own = key.public.thumbprint === chain.leaf.thumbprint
      const holder = this.#holder(asked, undefined, caller.id)
      return this.#kept({ chain, key: own ? key : undefined, holder, userToken: undefined }, now)
    } catch (error) {
      throw Refusal.from(inWords(error))
    }
  }

  async end(asked: Identified, jti: string): Promise<void> {
    const { held, revoke, record } = this.#options
    const [found] = held.through(jti)
    const at = found?.chain.hops.findIndex((hop) => hop.jti === jti) ?? -1
    // Whoever has it may give it up, and whoever has handed it on may take it back.
    const mayEnd = found?.chain.hops.slice(0, at + 1).some(({ id }) => id === asked.caller.id) ?? false
    if (found === undefined || !mayEnd) {
      throw new Refusal('delegation_unknown', { detail: 'the caller neither holds it nor has handed it on' })
    }
    await revoke(jti, `taken back by ${asked.caller.id}`, found.chain.expiresAt)
    await record({ event: 'revoked', asked, chain: found.chain, jti })
  }

  #parentOf(asked: Identified): Parent | undefined {
    if (asked.delegation === undefined) return undefined
    const held = this.#options.heldBy(asked)
    // Of a chain that is shown whole, or names a key of its own, the key of the leaf is elsewhere.
    if (held?.key === undefined)
      throw new DelegationError('delegation_wrong_key', 'its key is not here; see POST /v1/chains')
    return { ...held, key: held.key }
  }

  /** The root, and at once what is handed on of it where it is for somebody else. */
  async #begin(asked: Identified, request: DelegationRequest, wanted: Wanted): Promise<Delegated> {
    const { receivedAt: now, caller } = asked
    const user =
      request.subjectToken === undefined ? undefined : await this.#options.verifyUser(request.subjectToken, now)
    const forItself = request.to === undefined || request.to === caller.id
    const grant = this.#grantFor(caller.id, user, wanted)
    const until = Math.min(grant.ttl, user === undefined ? Number.POSITIVE_INFINITY : user.expiresAt - now)
    const lifetime = Math.floor(Math.min(until, (forItself && request.ttl) || until) / 1_000)
    if (lifetime < 1) throw new DelegationError('delegation_lifetime', 'the token of the user has no time left')
    const key = this.#options.keys.of(caller.id)
    const text = mintRoot(
      {
        principal: user?.id ?? caller.id,
        agent: caller.id,
        key: key.public,
        audience: [this.#options.audience],
        scopes: forItself ? wanted.scopes : grant.scopes,
        constraints: forItself ? within(grant, wanted) : grant.constraints,
        lifetime,
        maxDepth: Math.min(grant.maxDepth, (forItself && request.maxDepth) || grant.maxDepth),
        txn: this.#options.newId(),
        jti: this.#options.newId(),
      },
      this.#options.signer,
      now,
    )
    const chain = verifyChain(text, this.#options.roots, now)
    await this.#options.record({ event: 'created', asked, chain, handoff: undefined })
    const root = { chain, key, holder: this.#holder(asked, request.bind, caller.id), userToken: user?.token }
    return forItself ? this.#kept(root, now) : this.#handOn(asked, root, request, wanted)
  }

  #grantFor(agent: SpiffeId, user: ShownUser | undefined, { scopes }: Wanted): GrantSettings {
    const mine = this.#options
      .settings()
      .grants.filter(
        ({ agents, principals }) => agents.some((each) => agentMatches(each, agent)) && isFor(principals, user),
      )
    const whom = user === undefined ? 'on nobody else’s behalf' : `on behalf of user:${user.id}`
    if (mine.length === 0)
      throw new Refusal('delegation_not_granted', { detail: `nothing is granted to ${agent} ${whom}` })
    const grant = mine.find((each) => scopes.every((scope) => isCovered(scope, each.scopes)))
    if (grant !== undefined) return grant
    throw new Refusal('delegation_not_granted', {
      detail: `no grant to ${agent} ${whom} holds all of ${scopes.join(' ')}`,
    })
  }

  async #handOn(asked: Identified, parent: Parent, request: DelegationRequest, wanted: Wanted): Promise<Delegated> {
    const { revocations, trustDomains, newId, record, roots } = this.#options
    const { receivedAt: now, caller } = asked
    const { to } = request
    if (to === undefined) throw new DelegationError('delegation_malformed', '`to` is missing: to whom it is handed on')
    const key = DelegationKey.generate()
    const order: ChildOrder = {
      child: to,
      childKey: key.public,
      ...wanted,
      ttl: Math.floor((request.ttl ?? usualHandoff) / 1_000),
      ...(request.maxDepth === undefined ? {} : { maxDepth: request.maxDepth }),
      narrow: request.narrow,
      jti: newId(),
    }
    let written: Handoff | undefined
    const { chain: text, handoff } = await mintChild(
      parent.chain,
      order,
      {
        caller: caller.id,
        key: parent.key,
        revocations,
        trustDomains: trustDomains(),
        denial: (chain, { child }) => this.#denial(chain.leaf.id, child),
        async record(made) {
          written = made
          await record({ event: 'created', asked, chain: parent.chain, handoff: made })
        },
      },
      now,
    )
    if (written !== handoff) throw new Refusal('internal_error', { detail: 'a handoff went unrecorded' })
    const chain = verifyChain(text, roots, now)
    return this.#kept({ chain, key, holder: this.#holder(asked, request.bind, to), userToken: parent.userToken }, now)
  }

  /** Below its own name an agent may call its helpers what it likes; other names must be its to give. */
  #denial(from: SpiffeId, to: SpiffeId): string | undefined {
    if (to.startsWith(`${from}/`)) return undefined
    const allowed = this.#options
      .settings()
      .handoffs.some(
        (each) => each.from.some((of) => agentMatches(of, from)) && each.to.some((of) => agentMatches(of, to)),
      )
    return allowed ? undefined : `${from} may not hand on to ${to}`
  }

  /** Bound to the asking process, where the kernel tells it, unless it is for somebody who proves the name otherwise. */
  #holder(asked: Identified, bind: DelegationRequest['bind'], to: SpiffeId): Holder {
    const { caller, connection } = asked
    const own = { ...caller, id: caller.attested ?? caller.id }
    const byKernel = own.proofs.includes('kernel') && this.#options.facts.limit === undefined
    if (bind === 'id' || (bind === undefined && !byKernel && to !== own.id)) return { id: to, process: undefined }
    return holderBelow(own, connection, this.#options.facts, bind === 'parent')
  }

  #kept(held: Held, now: number): Delegated {
    const { chain, holder } = held
    const { leaf, txn, depth, maxDepth, expiresAt, text } = chain
    return {
      jti: leaf.jti,
      txn,
      handle: this.#options.held.keep(held, now),
      chain: text,
      holder: leaf.id,
      boundTo:
        holder.process === undefined ? holder.id : `process ${holder.process.pid} of ${holder.id}, and what it starts`,
      depth,
      maxDepth,
      scopes: leaf.scopes,
      constraints: leaf.constraints,
      expiresAt,
    }
  }
}

function read({ scopes, constraints }: DelegationRequest): Wanted {
  try {
    return { scopes: readScopes([...scopes]), constraints: readConstraints(constraints as readonly JsonValue[]) }
  } catch (error) {
    // Of what is asked for, not of a chain.
    if (error instanceof ChainError) throw new DelegationError('delegation_malformed', error.detail, error)
    throw error
  }
}

function isFor(principals: GrantSettings['principals'], user: ShownUser | undefined): boolean {
  if (user === undefined) return principals === undefined
  return principals?.some((glob) => compileGlob(glob)(`user:${user.id}`)) ?? false
}

/** What is asked for, and where it says nothing, what the grant says. */
function within(grant: GrantSettings, { constraints }: Wanted): readonly Constraint[] {
  const asked = new Set(constraints.map(dimension))
  const all = [...grant.constraints.filter((each) => !asked.has(dimension(each))), ...constraints]
  const widened = firstWidened(grant.constraints, all)
  if (widened === undefined) return all
  throw new DelegationError('delegation_not_narrower', `wider than the grant at ${dimension(widened)}`)
}

function inWords(error: unknown): unknown {
  if (error instanceof DelegationError) return new Refusal(error.reason, { detail: error.detail, cause: error })
  if (!(error instanceof ChainError)) return error
  return new Refusal(error.reason, { detail: error.detail, cause: error })
}
