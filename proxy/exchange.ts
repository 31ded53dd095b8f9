// The types between the steps. Each step takes one and returns the next; a step further on accepts nothing less.
import type { Duplex, Readable } from 'node:stream'
import { inspect } from 'node:util'
import type { SpiffeId } from '../certs/spiffe-id.ts'
import type { Spending } from '../policy/budgets/spending.ts'
import type { Constraint } from '../policy/delegation/constraints.ts'
import type { HeldChain } from '../policy/delegation/hold.ts'
import type { Allow } from '../policy/engine.ts'
import type { SecretReference } from './config/scalars.ts'
import type { Lease } from './obtain/provider.ts'
import type { Refusal } from './refusal.ts'
import type { Secret } from './secret.ts'

/** A host name in its one canonical form (lower case, A-labels, no trailing dot) or an IP literal in its shortest form without brackets. Made by `capture/target.ts` alone. */
export type HostName = string & { readonly __brand: 'HostName' }

/** Header fields as they stood on the wire: name, value, name, value, … Names keep their case, order and repetition are kept. */
export type HeaderList = readonly string[]

/** Where a request wants to go; the same bytes are matched by the policy and sent to the upstream. */
export interface Target {
  readonly scheme: 'http' | 'https'
  readonly host: HostName
  readonly port: number
  /** Absolute path, percent-encoding checked, never empty, without the query. */
  readonly path: string
  /** '' or '?…', as sent. */
  readonly query: string
}

/** What the transport tells of the peer; made by a listener, read by the attestors. One for each accepted connection and distinct Proxy-Authorization on it. */
export interface Connection {
  readonly id: string
  readonly listener: string
  readonly accept: 'http-proxy' | 'https-proxy' | 'redirected'
  readonly transport: 'tcp' | 'unix'
  readonly remoteAddress: string | undefined
  readonly remotePort: number | undefined
  readonly localAddress: string | undefined
  readonly localPort: number | undefined
  /** Where a redirected connection was going before the kernel turned it round to us. */
  readonly original?: Original
  /** What keeps its caller from every other way out; absent where nothing of ours does. */
  readonly isolation?: 'namespace'
  /** UNIX sockets: what the kernel said of the peer when it connected; pid 0 when it lives in a pid namespace that is not visible here. */
  readonly peer?: {
    readonly pid: number
    readonly uid: number
    readonly gid: number
    /** When the process began, in clock ticks since boot, where it could still be told. */
    readonly start?: number
  }
  /** The certificates that the peer proved possession of in TLS: DER, leaf first; empty when it presented none. */
  readonly peerCertificates: readonly Uint8Array[]
  /** Value of Proxy-Authorization on this CONNECT or request; never forwarded, never logged. */
  readonly proxyAuthorization: Secret | undefined
}

/** The address that a caller connected to, whatever name it had in mind; nothing is ever sent there because of it. */
export interface Original {
  readonly address: string
  readonly port: number
  /** Names for which this proxy gave out that address, lately. */
  readonly names: readonly string[]
}

export type ProofKind =
  | 'x509-svid'
  | 'jwt-svid'
  | 'kubernetes-token'
  | 'kernel'
  | 'run-token'
  | 'namespace'
  | 'delegation'

/** Who calls, and what proves it. The ID never comes from anything that the agent writes. */
export interface Caller {
  readonly id: SpiffeId
  /** Whom the proof itself names, where a delegation says that the caller acts as somebody else. */
  readonly attested?: SpiffeId
  /** Strongest first. */
  readonly proofs: readonly ProofKind[]
  readonly serial?: string
  /** Epoch milliseconds until which the proof holds. */
  readonly expiresAt?: number
  readonly uid?: number
  readonly pid?: number
  /** Path of the executable where the kernel tells it. */
  readonly executable?: string
  /** Id of the container that the process is in, where the kernel tells it: 64 hex digits. */
  readonly container?: string
  /** The pod that a Kubernetes token is bound to. */
  readonly pod?: { readonly name: string; readonly uid: string }
}

export interface Principal {
  readonly kind: 'user' | 'agent'
  readonly id: string
  /** The user's own token, verified, where one was shown when the grant was made; never goes to an upstream. */
  readonly token?: Secret | undefined
}

export interface Hop {
  readonly id: SpiffeId
  readonly scopes: readonly string[]
  /** Identifier of the delegation that made it. */
  readonly jti?: string | undefined
}

/** From the first agent to the caller; `depth` counts handoffs (0: the caller acts on its own grant). */
export interface Chain {
  readonly depth: number
  readonly hops: readonly Hop[]
  /** The transaction, the same in every hop. */
  readonly txn?: string | undefined
  /** Bounds of the last hop, which are within those of all before it. */
  readonly constraints?: readonly Constraint[]
  /** Epoch milliseconds; when the first of its delegations ends. */
  readonly expiresAt?: number
}

/** A place that requests may be sent to, as the configuration names it. */
export interface Destination {
  readonly name: string
  /** Exact names, or `*.suffix` (any number of labels below it). */
  readonly hosts: readonly string[]
  readonly protocol: 'https' | 'http' | 'opaque'
  readonly ports: readonly number[]
  /** CIDR ranges of special-purpose addresses that are meant; public ones need no mention. */
  readonly addresses: readonly string[]
  /** PEM of extra certification authorities, besides the system's. */
  readonly ca: readonly string[]
  /** What to show to a server that asks for a certificate: the proxy's own X509-SVID, or that of files. */
  readonly clientCertificate?: 'svid' | { readonly certificate: string; readonly key: SecretReference } | undefined
  /** Which workload the server must prove to be; then neither its name nor any authority of the web counts. */
  readonly spiffeId?: SpiffeId | undefined
  /** What to do when the answer gives an injected secret back. */
  readonly echo: 'redact' | 'block' | 'trusted-echo'
  /** Milliseconds. */
  readonly timeouts: { readonly connect: number; readonly headers: number; readonly idle: number }
}

/** Something worth knowing that is not a verdict; goes into the record. */
export interface Finding {
  readonly kind:
    | 'agent_credential_removed'
    | 'agent_credential_passed'
    | 'stand_in_misused'
    | 'secret_echoed'
    | 'credential_refused'
    | 'wider_scope'
    | 'address_mismatch'
  /** Such as `header:authorization`, `query:api_key`, `body`, `trailer:x-debug`. */
  readonly where: string
  /** Keyed fingerprint of the value concerned. */
  readonly fingerprint?: string
  readonly count?: number
  readonly note?: string
}

export interface Captured {
  /** Time-ordered UUID (RFC 9562, version 7). The agent sees it in refusals and in `postern-request-id`. */
  readonly id: string
  /** Epoch milliseconds. */
  readonly receivedAt: number
  readonly connection: Connection
  readonly method: string
  readonly target: Target
  readonly headers: HeaderList
  /** Absent when the request has no body. `passed` counts its bytes. */
  readonly body: (Readable & { readonly passed: number }) | undefined
  /** Protocol named by Upgrade, lower case, when the agent asks for one. */
  readonly upgrade: string | undefined
}

export interface Identified extends Captured {
  readonly caller: Caller
  readonly principal: Principal
  readonly chain: Chain
  /** The delegation behind `chain`, verified and in the right hands; absent where none was presented. */
  readonly delegation?: HeldChain
}

export interface Authorized extends Identified {
  readonly grant: Allow
  readonly destination: Destination
  /** What is set aside for it; absent where no budget concerns it. */
  readonly spending?: Spending
}

export function isAuthorized(reached: Reached): reached is Reached & Authorized {
  return reached.grant !== undefined
}

export interface Credentialed extends Authorized {
  /** Absent when the rule names no credential. */
  readonly lease: Lease | undefined
}

/** The head that leaves. It holds secrets in clear, so it prints as nothing. */
export class OutgoingHead {
  readonly method: string
  readonly path: string
  readonly headers: HeaderList

  constructor(method: string, path: string, headers: HeaderList) {
    this.method = method
    this.path = path
    this.headers = headers
  }

  toJSON(): string {
    return '[outgoing head]'
  }

  [inspect.custom](): string {
    return this.toJSON()
  }
}

export interface Injected extends Credentialed {
  readonly outgoing: OutgoingHead
  /** Every secret that stands in `outgoing`, in each form in which it was written (a password, and the Basic value made of it). */
  readonly emitted: readonly Secret[]
  readonly findings: readonly Finding[]
}

/** Receives an answer's body. */
export interface BodySink {
  /** Takes a chunk. Returns false when no more is wanted until `Flow.resume` is called. */
  data(chunk: Uint8Array): boolean
  end(trailers: HeaderList): void
  /** The body broke off; nothing follows. A `Refusal` says that it was Postern who ended it. */
  fail(error: Error): void
}

/** The giving side's handle on a body under way. */
export interface Flow {
  resume(): void
  /** Ends the exchange towards the upstream at once. */
  cancel(reason: Error): void
}

/** Pushed, not pulled: nothing flows before `deliver`, which is called once; a chunk arrives in the tick in which the upstream sent it. */
export interface AnswerBody {
  deliver(sink: BodySink): Flow
}

export interface Answer {
  readonly status: number
  readonly statusText: string
  readonly headers: HeaderList
  readonly body: AnswerBody
  /** After 101: the raw connection to the upstream. `body` is then empty. */
  readonly tunnel: Duplex | undefined
  /** The address that was checked and connected to. */
  readonly address: string | undefined
  /** Grows while the body passes; complete when the body has ended. */
  readonly findings: readonly Finding[]
}

/** How passing an answer on ended; a refusal is there when it was Postern or the upstream who broke it off. */
export interface Delivered {
  readonly ended: Outcome['ended']
  readonly refusal: Refusal | undefined
  /** Body bytes given to the agent. */
  readonly sent: number
  /** Bytes that the agent sent over a connection that was joined to the upstream's. */
  readonly received?: number
}

/** As much of an AbortSignal as most steps need; an AbortSignal is one. */
export interface Signal {
  readonly aborted: boolean
  readonly reason: unknown
  addEventListener(type: 'abort', listener: () => void): void
  removeEventListener(type: 'abort', listener: () => void): void
}

/** The agent's side of an exchange. */
export interface Reply {
  /** Aborted when the agent is gone before its answer has ended; the reason is a Refusal. */
  readonly signal: Signal
  /** Passes an answer on, in the tick in which its parts arrive. Resolves when it has ended, on whichever side. */
  send(answer: Answer): Promise<Delivered>
  /** Tells the agent why not. Where an answer has already begun, breaks it off. */
  refuse(refusal: Refusal): Promise<Delivered>
  /** Ends the exchange before its time, at once and on both sides. Answers whether there was still something to end. */
  cut(refusal: Refusal): boolean
}

/** The furthest that an exchange came. */
export type Reached = Captured & Partial<Injected>

export type Stage = 'identify' | 'authorize' | 'obtain' | 'inject' | 'forward' | 'redact' | 'body'

/** How it ended; what a record is made of. */
export interface Outcome {
  readonly kind: 'request' | 'tunnel'
  readonly exchange: Reached
  readonly refusal: Refusal | undefined
  readonly answer: Pick<Answer, 'status' | 'address' | 'findings'> | undefined
  /** `complete`: all was passed on; otherwise who ended it early. */
  readonly ended: 'complete' | 'refused' | 'client_gone' | 'upstream_gone' | 'cut'
  readonly bytes: { readonly sent: number; readonly received: number }
  /** Milliseconds spent in each stage, with fractions. */
  readonly spent: Readonly<Partial<Record<Stage, number>>>
  /** Epoch milliseconds. */
  readonly endedAt: number
}

/** A connection that ended before any request could be read from it. */
export interface FailedConnection {
  readonly kind: 'connection'
  readonly id: string
  readonly receivedAt: number
  readonly connection: Connection
  readonly caller: Caller | undefined
  /** The host it asked for, where that much could be read. */
  readonly host: string | undefined
  readonly refusal: Refusal
  readonly endedAt: number
}
