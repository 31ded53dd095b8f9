// Read this first: the way of a request, written once, in order.
//
//   agent ─▶ capture ─▶ identify ─▶ authorize ─▶ obtain ─▶ inject ─▶ forward ─▶ upstream
//   agent ◀──────────────────────── redact ◀──────────────────────────┘        record: always
//
// A step takes what the one before gave and returns more; one that cannot go on throws a Refusal, and nothing else ends
// a request early. Whatever goes wrong is a refusal too: it denies and it is recorded.
import type { PolicyEngine, Reach } from '../policy/engine.ts'
import { authorize, reauthorize, type Standing } from './authorize/authorize.ts'
import { reserve, settle } from './authorize/budgeted.ts'
import { refuseAllStopped, refuseStopped } from './authorize/stopped.ts'
import type { Budgets } from './budget/budgets.ts'
import { meter } from './budget/meter.ts'
import type { Door } from './door/door.ts'
import {
  type Answer,
  type Caller,
  type Captured,
  type Connection,
  type Credentialed,
  type Delivered,
  type Destination,
  type FailedConnection,
  type Injected,
  isAuthorized,
  type Outcome,
  type Reached,
  type Reply,
  type Signal,
} from './exchange.ts'
import type { Forwarder } from './forward/forwarder.ts'
import type { Delegations } from './identify/delegation/delegations.ts'
import { type Attestors, callerOf, identify, whoseTurn } from './identify/identify.ts'
import { inject } from './inject/inject.ts'
import type { Placements } from './inject/placement.ts'
import { needOf, obtain } from './obtain/obtain.ts'
import type { Credentials } from './obtain/provider.ts'
import type { OpenExchange, OpenExchanges } from './open-exchanges.ts'
import type { Journal } from './record/sink.ts'
import { redact } from './redact/redact.ts'
import { Refusal } from './refusal.ts'
import { type Stopwatch, Story } from './story.ts'
import type { Turns } from './turns.ts'

/** For what nobody is waiting for. */
const unhurried = new AbortController().signal

/** Milliseconds that telling who opens a tunnel may take. */
const attestationTime = 10_000

/** All that the steps need, as the configuration in force makes it. A request keeps the one that it began with. */
export interface Way extends Standing {
  readonly attestors: Attestors
  readonly delegations: Delegations
  readonly door: Door
  readonly policy: PolicyEngine
  readonly destinations: ReadonlyMap<string, Destination>
  readonly budgets: Budgets
  readonly credentials: Credentials
  readonly placements: Placements
  readonly forwarder: Forwarder
  readonly journal: Journal
  readonly open: OpenExchanges
  readonly turns: Turns
  readonly stopwatch: Stopwatch
}

/** Takes a captured request along the whole way, and records how it ended. Never rejects. */
export function handle(captured: Captured, reply: Reply, way: Way): Promise<void> {
  return conclude(captured, new Story(captured, 'request', way.stopwatch), reply, way, pass)
}

/** The same for a CONNECT to an opaque destination: nobody looks into the tunnel; identity, policy and addresses hold all the same. */
export function tunnel(captured: Captured, reply: Reply, way: Way): Promise<void> {
  return conclude(captured, new Story(captured, 'tunnel', way.stopwatch), reply, way, open)
}

/** When another request may be read from a connection: a caller who has many waiting is not to pile up more. */
export function room(connection: Connection, way: Way): undefined | Promise<void> {
  return way.turns.room(whoseTurn(connection))
}

type Passage = (captured: Captured, story: Story, way: Way, signal: Signal, exchange: OpenExchange) => Promise<Answer>

async function conclude(captured: Captured, story: Story, reply: Reply, way: Way, passage: Passage): Promise<void> {
  let answer: Answer | undefined
  let delivered: Delivered
  const exchange: OpenExchange = { story, reply }
  way.open.enter(exchange)
  try {
    answer = await passage(captured, story, way, reply.signal, exchange)
    delivered = await reply.send(answer)
  } catch (error) {
    // All that wait for one host may fail together.
    await way.turns.answer(whoseTurn(captured.connection))
    delivered = await reply.refuse(Refusal.from(error))
  }
  way.open.leave(exchange)
  const bytes = { sent: delivered.sent, received: delivered.received ?? captured.body?.passed ?? 0 }
  const outcome = story.ends({ refusal: delivered.refusal, answer, ended: delivered.ended, bytes })
  settle(outcome)
  record(outcome, way)
}

async function pass(
  captured: Captured,
  story: Story,
  way: Way,
  signal: Signal,
  exchange: OpenExchange,
): Promise<Answer> {
  // First of all, since it must hold whatever else fails. Fails as `revoked`.
  refuseAllStopped(way.stops)

  // One caller after the other, so that nobody waits for all that another asks.
  const who = whoseTurn(captured.connection)
  const turn = way.turns.take(who)
  if (turn !== undefined) await turn

  // Before anything else, since every rule speaks of somebody. Fails as `unidentified_caller`, `svid_*`, `chain_*`.
  const identified = story.came('identify', await identify(captured, way.attestors, way.delegations, signal))

  // So that no caller has all that there is. Fails as `too_many_at_once`.
  way.open.known(exchange, identified.caller.attested ?? identified.caller.id)

  // The proxy itself is asked, not a place beyond it.
  if (way.door.serves(identified.target)) {
    refuseStopped(identified, way.stops, identified.receivedAt)
    return way.door.answer(identified)
  }

  // Before any credential is touched. Fails as `revoked`, `chain_*`, `denied_by_rule`, `no_rule`, `limit_exceeded`.
  const allowed = story.came('authorize', authorize(identified, way.policy, way.destinations, way))

  // Set aside before it can be spent; settled when the outcome is known. Fails as `budget_exhausted`.
  const authorized = story.came('authorize', await reserve(allowed, way.budgets))

  // Before the request can have an effect, so that none goes unrecorded. Fails as `records_unavailable`.
  await way.journal.intent(authorized)

  // As late as possible and as narrow as possible. Fails as `credential_unavailable`, `consent_required`.
  const credentialed = story.came('obtain', await obtain(authorized, way.credentials, signal))

  // The agent's own credentials out, ours in; nothing changes the request after this. Fails as `placement_conflict`, `stand_in_misused`.
  let injected = story.came('inject', inject(credentialed, way.placements))

  // To an address that is checked and pinned. Fails as `blocked_address`, `upstream_*`.
  let answer = story.answered(await way.forwarder.forward(injected, signal))

  const fresh = answer.status === 401 ? await renewed(injected, way, signal) : undefined
  if (fresh !== undefined) {
    // The upstream refused a credential before its time was over: once more, with another.
    discard(answer)
    injected = story.came('inject', inject(story.came('obtain', fresh), way.placements))
    answer = story.answered(await way.forwarder.forward(injected, signal))
  }

  // Answers to one caller may all come at once, and cost as much as what they answer. What an upgrade opens is not left unread.
  const due = answer.tunnel === undefined ? way.turns.answer(who) : undefined
  if (due !== undefined) await due

  // Last, since only now is there an answer that could give the secret back. Fails as `response_uninspectable`, `secret_echoed`.
  // What is left of it is what counts.
  return meter(redact(answer, injected), injected)
}

/** The exchange with another credential after an answer that refused the first; undefined where none would do better. */
async function renewed(injected: Injected, way: Way, signal: Signal): Promise<Credentialed | undefined> {
  const { lease, body } = injected
  if (lease === undefined) return undefined
  const another = way.credentials.refused(lease, needOf(injected))
  // A body has been used up, so a request with one cannot be sent again; the next one will have another credential.
  if (!another || body !== undefined) return undefined
  try {
    const fresh = await obtain(injected, way.credentials, signal)
    // A source that gives the same again has nothing better to offer.
    return fresh.lease?.secret === lease.secret ? undefined : fresh
  } catch {
    return undefined
  }
}

function discard(answer: Answer): void {
  answer.body.deliver({ data: () => true, end: () => {}, fail: () => {} })
}

async function open(
  captured: Captured,
  story: Story,
  way: Way,
  signal: Signal,
  exchange: OpenExchange,
): Promise<Answer> {
  refuseAllStopped(way.stops)
  const identified = story.came('identify', await identify(captured, way.attestors, way.delegations, signal))
  way.open.known(exchange, identified.caller.attested ?? identified.caller.id)
  const allowed = story.came('authorize', authorize(identified, way.policy, way.destinations, way))
  const authorized = story.came('authorize', await reserve(allowed, way.budgets))
  await way.journal.intent(authorized)
  return meter(story.answered(await way.forwarder.tunnel(authorized, signal)), authorized)
}

/**
 * Asked before a byte of a tunnel is decrypted or a leaf is minted: who is it, and could any rule allow it anything there?
 * @throws Refusal of `identify`, and `revoked`
 */
export async function admit(
  connection: Connection,
  host: string,
  port: number,
  way: Way,
  now: number,
): Promise<{ readonly caller: Caller; readonly reach: Reach }> {
  refuseAllStopped(way.stops)
  // A tunnel that is opened begins with a handshake, and for a new host with a signature.
  const turn = way.turns.handshake(whoseTurn(connection))
  if (turn !== undefined) await turn
  const attested = await callerOf(connection, way.attestors, now, AbortSignal.timeout(attestationTime))
  // A handle in the proxy URL says already here as whom the caller acts.
  const { caller } = way.delegations.of({ connection, headers: [], receivedAt: now }, attested) ?? { caller: attested }
  if (way.door.serves({ host, port })) return { caller, reach: 'inspect' }
  return { caller, reach: way.policy.reach(caller.id, host, port) }
}

/**
 * Looks again at an exchange under way: who calls, and whether the rules in force now would allow it.
 * @throws Refusal when it may not go on
 */
export function judge(reached: Reached, way: Way, now: number): undefined | Promise<unknown> {
  // What has not been decided yet will be.
  if (!isAuthorized(reached)) return undefined
  const caller = callerOf(reached.connection, way.attestors, now, unhurried)
  reauthorize(reached, way.policy, way.destinations, way, now)
  return caller instanceof Promise ? caller : undefined
}

/** Records an exchange, or a connection that ended before there was one. */
export function record(outcome: Outcome | FailedConnection, way: Way): void {
  way.journal.record(outcome, way.policy.version)
}
