// What a policy engine is asked and answers. Pure and synchronous: the clock is an argument.
import type { SpiffeId } from '../certs/spiffe-id.ts'
import type { Constraint } from './delegation/constraints.ts'

/** Everything a rule can look at. */
export interface Question {
  /** Epoch milliseconds. */
  readonly now: number
  readonly caller: { readonly id: SpiffeId; readonly proofs: readonly string[] }
  readonly principal: { readonly kind: string; readonly id: string }
  readonly chain: {
    readonly depth: number
    readonly agents: readonly string[]
    readonly scopes: readonly (readonly string[])[]
    /** One for all that follows from one root; undefined without a chain. */
    readonly txn?: string | undefined
    /** Bounds of the last hop. */
    readonly constraints?: readonly Constraint[] | undefined
  }
  readonly request: {
    readonly method: string
    readonly scheme: 'http' | 'https'
    readonly host: string
    readonly port: number
    readonly path: string
    /** '' or '?…'. */
    readonly query: string
    /** Flat: name, value, … as sent. */
    readonly headers: readonly string[]
  }
}

/** A rule in shadow mode that would have decided otherwise. */
export interface Shadow {
  readonly rule: string
  readonly would: 'allow' | 'deny'
}

export interface Allow {
  readonly verdict: 'allow'
  readonly rule: string
  /** Name of the destination that the host belongs to. */
  readonly destination: string
  /** Name of the credential to obtain, where the rule names one. */
  readonly credential: string | undefined
  readonly shadows: readonly Shadow[]
}

export interface Deny {
  readonly verdict: 'deny'
  readonly reason: 'denied_by_rule' | 'no_rule' | 'limit_exceeded'
  readonly rule: string | undefined
  /** For people: what was expected and what was found. */
  readonly detail: string
  /** Whole seconds, with `limit_exceeded`. */
  readonly retryAfter: number | undefined
  readonly shadows: readonly Shadow[]
}

/** What a caller could do at a host, asked before anything is decrypted. */
export type Reach = 'none' | 'inspect' | 'opaque'

export interface PolicyEngine {
  /** Changes with the rules; goes into each record. */
  readonly version: string
  /** Decides, and counts the request against the limit of the rule that allows it. */
  decide(question: Question): Allow | Deny
  /** Decides again on what was decided before: as `decide`, but counts nothing. */
  review(question: Question): Allow | Deny
  /** Whether some rule could allow this caller some request there. */
  reach(caller: SpiffeId, host: string, port: number): Reach
}
