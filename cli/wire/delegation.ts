// Delegation as a whole: the root key of this proxy, what is held, the agent's door, and what delegated requests are held to.
import { randomUUID } from 'node:crypto'
import type { TrustDomain } from '../../certs/spiffe-id.ts'
import type { Ledger } from '../../policy/delegation/action.ts'
import type { Revocations } from '../../policy/delegation/hold.ts'
import { DelegationKey, verifier } from '../../policy/delegation/keys.ts'
import { VerifiedChains } from '../../policy/delegation/verified-chains.ts'
import type { StopList } from '../../policy/stop/list.ts'
import { describeStopped } from '../../policy/stop/stop.ts'
import type { Delegated } from '../../proxy/authorize/delegated.ts'
import { AgentDoor, type Door } from '../../proxy/door/door.ts'
import { AgentKeys } from '../../proxy/identify/delegation/agent-keys.ts'
import { Delegations } from '../../proxy/identify/delegation/delegations.ts'
import { type DelegationEvent, HandoffDesk, type ShownUser } from '../../proxy/identify/delegation/handoff-desk.ts'
import { HeldDelegations } from '../../proxy/identify/delegation/held.ts'
import { RootKeys } from '../../proxy/identify/delegation/root-keys.ts'
import type { DelegationSettings } from '../../proxy/identify/delegation/settings.ts'
import { egressOf } from '../../proxy/identify/jwt-svid.ts'
import { type KernelFacts, kernelFacts } from '../../proxy/identify/kernel/facts.ts'
import type { Secret } from '../../proxy/secret.ts'
import { type KeySurroundings, openKeyDocument } from './keys.ts'

/** Milliseconds between two looks for handles that are over. */
const sweepEvery = 60_000

export interface DelegationSurroundings extends KeySurroundings {
  readonly trustDomain: TrustDomain
  /** Of where the callers are; unless told, here. */
  readonly facts: KernelFacts | undefined
  /** As configured now. */
  readonly settings: () => DelegationSettings
  /** Other trust domains whose agents may call. */
  readonly federated: () => readonly TrustDomain[]
  readonly stops: { readonly list: StopList; readonly stale: boolean }
  /** @throws Refusal `user_token_*` */
  readonly verifyUser: (token: Secret, now: number) => Promise<ShownUser>
  readonly record: (event: DelegationEvent) => Promise<void>
  /** Counts what the tokens bound in all. */
  readonly totals: Ledger
  readonly revoke: (jti: string, reason: string, until: number) => Promise<void>
}

export interface Delegation {
  readonly delegations: Delegations
  readonly door: Door
  readonly delegated: Delegated
  close(): Promise<void>
}

/** The root key lives and dies with this process: after a restart every chain is to be begun anew. */
export async function openDelegation(surroundings: DelegationSurroundings): Promise<Delegation> {
  const { trustDomain, settings, federated, stops, verifyUser, record, totals, revoke, now, onProblem } = surroundings
  const opened = settings().roots.map(({ issuer, keys }) => ({ issuer, ...openKeyDocument(keys, surroundings) }))
  const key = DelegationKey.generate()
  const signer = { issuer: `https://postern.internal/${trustDomain}`, keyId: key.public.thumbprint, key }
  const roots = new RootKeys({
    own: { issuer: signer.issuer, keyId: signer.keyId, key: verifier(key.public) },
    published: new Map(opened.map(({ issuer, read }) => [issuer, read])),
    now,
    onProblem,
  })
  // Bounded in time; where it fails, the start goes on without them.
  await roots.renew()
  const revocations = revocationsOf(stops, now)
  const held = new HeldDelegations()
  const facts = surroundings.facts ?? kernelFacts()
  const audience = egressOf(trustDomain)
  const delegations = new Delegations({
    held,
    chains: new VerifiedChains(roots),
    revocations,
    epoch: () => stops.list.epoch + roots.epoch,
    facts,
  })
  const desk = new HandoffDesk({
    settings,
    signer,
    roots,
    revocations,
    held,
    keys: new AgentKeys(),
    heldBy: (asked) => delegations.heldBy(asked),
    trustDomains: () => new Set([trustDomain, ...federated()]),
    audience,
    facts,
    verifyUser,
    newId: randomUUID,
    record,
    revoke,
  })
  const sweeping = setInterval(() => held.sweep(now()), sweepEvery)
  sweeping.unref()
  return {
    delegations,
    door: new AgentDoor(desk),
    delegated: { audience, revocations, ledger: totals },
    async close() {
      clearInterval(sweeping)
      await Promise.all(opened.map(({ close }) => close()))
    },
  }
}

/** A stop of any hop, of the principal or of the transaction takes the chain away. Where stops cannot be known, so does that. */
function revocationsOf(stops: DelegationSurroundings['stops'], now: () => number): Revocations {
  return {
    against(hop, { principal, txn }) {
      if (stops.stale) return { reason: 'chain_status_unknown', detail: 'the feed of stops is stale' }
      const stop = stops.list.find({ agents: [hop.id], principal, txn, delegations: [hop.jti] }, now())
      if (stop === undefined) return undefined
      return { reason: 'chain_revoked', detail: `stop ${stop.id} of ${describeStopped(stop.what)}: ${stop.reason}` }
    },
  }
}
