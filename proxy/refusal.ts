// One table: reason → HTTP status, what the agent is told, what to do next. Nothing but a Refusal ends a request early.
import type { Shadow } from '../policy/engine.ts'
import type { Finding, Identified } from './exchange.ts'

interface Row {
  readonly status: number
  /** What the agent is told: one sentence, nothing of the policy's inside, no value of the request. */
  readonly title: string
  /** What the agent, or whoever runs it, can do next. */
  readonly next: string
}

const askOperator = 'Ask whoever runs this agent for a rule that allows it; quote the request id.'
const showSvid = 'Present a valid X509-SVID of a trust domain that the proxy trusts.'
const showJwt = 'Present a valid JWT-SVID of a trust domain that the proxy trusts.'
const showToken = 'Present the projected service-account token of this pod.'
const signIn = 'Have the user sign in again, and show the new token.'
const correct = 'Correct the request.'
const askAnew = 'Ask for a delegation anew.'
const askLess = 'Ask for less, or send narrow: true for what both have in common.'
const askWhoHandedOn = 'Ask whoever handed it on.'
const retryLater = 'Try again later.'

export const reasons = {
  // capture
  bad_request: { status: 400, title: 'The request is not well-formed HTTP/1.1.', next: 'Correct the request.' },
  request_too_large: {
    status: 431,
    title: 'The request head is too large.',
    next: 'Send fewer or shorter header fields.',
  },
  request_timeout: {
    status: 408,
    title: 'The request was not complete in time.',
    next: 'Send the request head without delay.',
  },
  ambiguous_target: {
    status: 400,
    title: 'The target can be read in more than one way.',
    next: 'Write host, port and path in their plain form.',
  },
  misdirected: {
    status: 421,
    title: 'CONNECT authority, TLS server name and Host do not name the same place.',
    next: 'Open a connection for each host.',
  },
  unnamed_target: {
    status: 400,
    title: 'The connection does not name the host that it is for.',
    next: 'Name the host in TLS or HTTP, or have its address and port declared opaque.',
  },
  unsupported_protocol: {
    status: 400,
    title: 'Neither TLS nor HTTP was spoken on the tunnel.',
    next: 'Use HTTP or HTTPS, or have the destination declared opaque.',
  },
  self_request: {
    status: 403,
    title: 'The proxy does not forward requests to itself.',
    next: 'Name the host that you mean.',
  },
  client_rejected_certificate: {
    status: 495,
    title: 'The client did not accept the certificate made for this host.',
    next: 'Let the client trust the certificate authority of the proxy.',
  },
  too_many_hosts: {
    status: 429,
    title: 'Connections to new hosts are opened too fast.',
    next: 'Wait for the time in Retry-After.',
  },
  client_gone: { status: 499, title: 'The client closed the connection.', next: 'Nothing.' },
  // identify
  unidentified_caller: {
    status: 407,
    title: 'The caller could not be told.',
    next: 'Call through the proxy address that was handed to this process.',
  },
  svid_missing: { status: 403, title: 'No client certificate was presented.', next: showSvid },
  svid_unparsable: { status: 403, title: 'A presented certificate could not be parsed.', next: showSvid },
  svid_chain_too_long: { status: 403, title: 'The presented chain has too many certificates.', next: showSvid },
  svid_no_uri_san: { status: 403, title: 'The certificate carries no SPIFFE ID.', next: showSvid },
  svid_many_uri_sans: { status: 403, title: 'The certificate carries more than one URI.', next: showSvid },
  svid_bad_id: { status: 403, title: 'The SPIFFE ID is not well-formed.', next: showSvid },
  svid_no_path: { status: 403, title: 'The SPIFFE ID names a trust domain, not a workload.', next: showSvid },
  svid_san_not_critical: {
    status: 403,
    title: 'The subject is empty and the alternative name is not critical.',
    next: showSvid,
  },
  svid_is_ca: { status: 403, title: 'A signing certificate cannot authenticate a caller.', next: showSvid },
  svid_key_usage: { status: 403, title: 'The key usage is not that of an X509-SVID.', next: showSvid },
  svid_extended_key_usage: {
    status: 403,
    title: 'The extended key usage is not that of an X509-SVID.',
    next: showSvid,
  },
  svid_untrusted_domain: { status: 403, title: 'The trust domain of the caller is not trusted here.', next: showSvid },
  svid_not_yet_valid: {
    status: 403,
    title: 'A certificate of the chain is not valid yet.',
    next: 'Check the clock, or present a current SVID.',
  },
  svid_expired: { status: 403, title: 'A certificate of the chain has expired.', next: 'Present a current SVID.' },
  svid_bad_signature: { status: 403, title: 'A signature in the chain does not verify.', next: showSvid },
  svid_no_path_to_root: {
    status: 403,
    title: 'The chain does not lead to a root of its trust domain.',
    next: showSvid,
  },
  svid_issuer_not_ca: { status: 403, title: 'An issuer in the chain may not sign certificates.', next: showSvid },
  svid_path_length: { status: 403, title: 'The chain is longer than an issuer allows.', next: showSvid },
  svid_name_constraints: {
    status: 403,
    title: 'A name in the chain is outside its issuer’s constraints.',
    next: showSvid,
  },
  svid_critical_extension: {
    status: 403,
    title: 'A certificate has a critical extension that is not understood.',
    next: showSvid,
  },
  svid_signing_id: { status: 403, title: 'An issuer carries a SPIFFE ID that it may not carry.', next: showSvid },
  svid_weak_key: { status: 403, title: 'A key or signature algorithm in the chain is not accepted.', next: showSvid },
  svid_revoked: { status: 403, title: 'A certificate of the chain is revoked.', next: 'Present a current SVID.' },
  jwt_svid_too_long: { status: 403, title: 'The presented token is too long.', next: showJwt },
  jwt_svid_malformed: { status: 403, title: 'The presented token is not a JWT-SVID.', next: showJwt },
  jwt_svid_algorithm: {
    status: 403,
    title: 'The token is signed with an algorithm that is not accepted.',
    next: showJwt,
  },
  jwt_svid_type: { status: 403, title: 'The type of the token is not that of a JWT-SVID.', next: showJwt },
  jwt_svid_header: { status: 403, title: 'The header of the token holds more than a JWT-SVID may.', next: showJwt },
  jwt_svid_no_key_id: { status: 403, title: 'The token does not name the key that it is signed with.', next: showJwt },
  jwt_svid_no_subject: { status: 403, title: 'The token names no subject.', next: showJwt },
  jwt_svid_bad_id: { status: 403, title: 'The subject of the token is not a SPIFFE ID.', next: showJwt },
  jwt_svid_no_path: {
    status: 403,
    title: 'The subject of the token is a trust domain, not a workload.',
    next: showJwt,
  },
  jwt_svid_no_audience: { status: 403, title: 'The token names no audience.', next: showJwt },
  jwt_svid_no_expiry: { status: 403, title: 'The token does not say when it expires.', next: showJwt },
  jwt_svid_untrusted_domain: {
    status: 403,
    title: 'Tokens of the trust domain of the caller are not trusted here.',
    next: showJwt,
  },
  jwt_svid_unknown_key: {
    status: 403,
    title: 'The token names a key that its trust domain does not have.',
    next: 'Present a current JWT-SVID.',
  },
  jwt_svid_weak_key: { status: 403, title: 'The key that the token names is not accepted.', next: showJwt },
  jwt_svid_bad_signature: { status: 403, title: 'The signature of the token does not verify.', next: showJwt },
  jwt_svid_wrong_audience: {
    status: 403,
    title: 'The token is meant for others.',
    next: 'Ask for a JWT-SVID whose audience is the egress ID of this trust domain.',
  },
  jwt_svid_not_yet_valid: {
    status: 403,
    title: 'The token is not valid yet.',
    next: 'Check the clock, or present a current JWT-SVID.',
  },
  jwt_svid_expired: { status: 403, title: 'The token has expired.', next: 'Present a current JWT-SVID.' },
  kubernetes_token_malformed: {
    status: 403,
    title: 'The presented token is not a bound service-account token.',
    next: showToken,
  },
  kubernetes_token_wrong_issuer: {
    status: 403,
    title: 'The token is not of the cluster that is trusted here.',
    next: showToken,
  },
  kubernetes_token_no_account: {
    status: 403,
    title: 'The token does not say of which service account it is.',
    next: showToken,
  },
  kubernetes_token_unknown_key: {
    status: 403,
    title: 'The token names a key that the cluster does not have.',
    next: showToken,
  },
  kubernetes_token_bad_signature: {
    status: 403,
    title: 'The signature of the token does not verify.',
    next: showToken,
  },
  kubernetes_token_wrong_audience: {
    status: 403,
    title: 'The token is meant for others.',
    next: 'Project a token whose audience is the egress ID of this trust domain.',
  },
  kubernetes_token_not_yet_valid: {
    status: 403,
    title: 'The token is not valid yet.',
    next: 'Check the clock, or present the current token.',
  },
  kubernetes_token_expired: {
    status: 403,
    title: 'The token has expired.',
    next: 'Read the token from its file anew, and present it.',
  },
  kubernetes_keys_unavailable: {
    status: 503,
    title: 'The keys that would verify the token cannot be had now.',
    next: retryLater,
  },
  user_token_invalid: {
    status: 403,
    title: 'The token of the user is not one that is taken here.',
    next: 'Show a token of a kind that the configuration names for its issuer.',
  },
  user_token_issuer_unknown: {
    status: 403,
    title: 'Users of the issuer of the token are not known here.',
    next: askOperator,
  },
  user_token_signature: { status: 403, title: 'The signature of the user’s token does not verify.', next: signIn },
  user_token_audience: {
    status: 403,
    title: 'The token of the user is meant for others.',
    next: 'Show a token whose only audience is the one that the configuration names.',
  },
  user_token_not_yet_valid: {
    status: 403,
    title: 'The token of the user is not valid yet.',
    next: 'Check the clock, or have the user sign in again.',
  },
  user_token_expired: {
    status: 403,
    title: 'The token of the user has expired, or was issued too long ago.',
    next: signIn,
  },
  user_token_keys_unavailable: {
    status: 503,
    title: 'The keys that would verify the user’s token cannot be had now.',
    next: retryLater,
  },
  chain_malformed: {
    status: 400,
    title: 'The delegation is not well-formed, or more than one is presented.',
    next: askAnew,
  },
  chain_non_canonical: {
    status: 403,
    title: 'A token of the delegation chain is not in its canonical form.',
    next: askAnew,
  },
  chain_duplicate_member: { status: 403, title: 'A token of the delegation chain has a member twice.', next: askAnew },
  chain_non_finite: {
    status: 403,
    title: 'A token of the delegation chain has a number that is not finite.',
    next: askAnew,
  },
  chain_signature_invalid: {
    status: 403,
    title: 'A signature in the delegation chain does not verify.',
    next: askAnew,
  },
  chain_par_hash_mismatch: {
    status: 403,
    title: 'A token of the delegation chain was made under another parent.',
    next: askAnew,
  },
  chain_depth_invalid: {
    status: 403,
    title: 'The delegation has been handed on more often than it may be.',
    next: askWhoHandedOn,
  },
  chain_principal_altered: {
    status: 403,
    title: 'The tokens of the delegation chain speak for different principals.',
    next: askAnew,
  },
  chain_loop: { status: 403, title: 'An agent would stand in the delegation chain twice.', next: askWhoHandedOn },
  chain_not_narrower: { status: 403, title: 'More is asked than the one who hands on has.', next: askLess },
  chain_expired: { status: 403, title: 'The delegation is over, or has not begun.', next: askAnew },
  chain_revoked: { status: 403, title: 'The delegation was taken back.', next: askWhoHandedOn },
  chain_status_unknown: {
    status: 503,
    title: 'Whether the delegation still holds cannot be told now.',
    next: retryLater,
  },
  chain_holder_binding_failed: { status: 403, title: 'The delegation is held by somebody else.', next: askAnew },
  chain_audience_mismatch: { status: 403, title: 'The delegation is meant for another trust domain.', next: askAnew },
  chain_scope_not_granted: {
    status: 403,
    title: 'The delegation does not hold a scope that is needed.',
    next: askWhoHandedOn,
  },
  chain_ceiling_exceeded: {
    status: 403,
    title: 'The request is beyond a bound of the delegation.',
    next: askWhoHandedOn,
  },
  chain_unknown_constraint: {
    status: 403,
    title: 'The delegation has a bound that cannot be checked here.',
    next: askWhoHandedOn,
  },
  delegation_unknown: { status: 403, title: 'The delegation is not known here, or has ended.', next: askAnew },
  delegation_not_granted: {
    status: 403,
    title: 'Nothing may be granted to this agent on this behalf, or not so much.',
    next: askOperator,
  },
  delegation_malformed: { status: 400, title: 'What is to be handed on is not well-formed.', next: correct },
  delegation_denied_by_rule: { status: 403, title: 'This agent may not hand on to that one.', next: askOperator },
  delegation_loop: { status: 403, title: 'An agent cannot be handed what it has in the chain already.', next: correct },
  delegation_domain_not_allowed: {
    status: 403,
    title: 'Nothing is handed on to that trust domain.',
    next: askOperator,
  },
  delegation_too_deep: { status: 403, title: 'It cannot be handed on once more.', next: askWhoHandedOn },
  delegation_not_narrower: { status: 403, title: 'More is asked than the one who hands on has.', next: askLess },
  delegation_lifetime: { status: 403, title: 'It cannot last so long, or has no time left.', next: askLess },
  delegation_wrong_key: { status: 403, title: 'What signs for the one who hands on is not here.', next: askAnew },
  delegation_not_recorded: {
    status: 503,
    title: 'The handoff cannot be recorded, so it is not made.',
    next: retryLater,
  },
  // authorize
  revoked: { status: 403, title: 'This was stopped.', next: 'Ask whoever runs this agent; quote the request id.' },
  denied_by_rule: { status: 403, title: 'A rule denies this request.', next: askOperator },
  no_rule: { status: 403, title: 'No rule allows this request.', next: askOperator },
  too_many_at_once: {
    status: 429,
    title: 'This caller has too many requests under way.',
    next: 'Wait until some of them have ended.',
  },
  limit_exceeded: {
    status: 429,
    title: 'The limit of requests is reached.',
    next: 'Wait for the time in Retry-After.',
  },
  budget_exhausted: {
    status: 429,
    title: 'The budget for this is used up.',
    next: 'Wait for the time in Retry-After, when it renews.',
  },
  // obtain
  scope_not_granted: {
    status: 403,
    title: 'What was delegated does not cover this request.',
    next: 'Ask whoever delegated to you for the scope, or leave this request to them.',
  },
  credential_unavailable: {
    status: 503,
    title: 'The credential for this request cannot be had now.',
    next: 'Try again after the time in Retry-After.',
  },
  consent_required: {
    status: 403,
    title: 'The grant behind the credential has ended and must be given anew.',
    next: 'Ask whoever owns the grant to sign in again.',
  },
  // inject
  placement_conflict: {
    status: 403,
    title: 'The request leaves no unambiguous place for its credential.',
    next: 'Send the request without a credential of its own.',
  },
  stand_in_misused: {
    status: 403,
    title: 'A stand-in for a credential was sent where it does not belong.',
    next: 'Use the stand-in only as the credential of its own service.',
  },
  credential_not_bound: { status: 403, title: 'The credential is not meant for this destination.', next: askOperator },
  // forward
  blocked_address: {
    status: 403,
    title: 'The host resolves to an address that must not be reached.',
    next: askOperator,
  },
  upstream_unresolved: { status: 502, title: 'The name of the host could not be resolved.', next: 'Check the name.' },
  upstream_unreachable: { status: 502, title: 'The host could not be connected to.', next: retryLater },
  upstream_untrusted: {
    status: 502,
    title: 'The certificate of the host was not accepted.',
    next: 'Have the right authority configured for the destination.',
  },
  upstream_svid_invalid: {
    status: 502,
    title: 'The host did not present a valid X509-SVID of a trust domain that the proxy trusts.',
    next: 'Have whoever runs the host look at its SVID, or the bundle of its trust domain configured.',
  },
  upstream_wrong_identity: {
    status: 502,
    title: 'The host proved to be another workload than the destination names.',
    next: askOperator,
  },
  upstream_rejected_certificate: {
    status: 502,
    title: 'The host did not accept the certificate of the proxy, or demands one.',
    next: 'Have a client certificate that the host accepts configured for the destination.',
  },
  client_certificate_unavailable: {
    status: 503,
    title: 'The certificate that the proxy shows to this host cannot be had now.',
    next: retryLater,
  },
  upstream_timeout: { status: 504, title: 'The host did not answer in time.', next: retryLater },
  upstream_protocol: { status: 502, title: 'The host did not answer in well-formed HTTP.', next: retryLater },
  upstream_closed: {
    status: 502,
    title: 'The host closed the connection before the answer was complete.',
    next: retryLater,
  },
  // redact
  response_uninspectable: {
    status: 502,
    title: 'The answer could not be looked into for the credential.',
    next: 'Ask for an encoding that the proxy can read (gzip, deflate, br, zstd or none).',
  },
  secret_echoed: { status: 502, title: 'The answer gave the credential back and was withheld.', next: askOperator },
  // record
  records_unavailable: { status: 503, title: 'The request cannot be recorded, so it is not sent.', next: retryLater },
  // the house itself
  not_ready: { status: 503, title: 'The proxy is not ready.', next: retryLater },
  shutting_down: { status: 503, title: 'The proxy is shutting down.', next: retryLater },
  overloaded: { status: 503, title: 'The proxy has reached a limit.', next: retryLater },
  internal_error: { status: 500, title: 'The proxy failed.', next: 'Quote the request id to whoever runs this agent.' },
} as const satisfies Record<string, Row>

export type Reason = keyof typeof reasons

/** As far as an exchange says it of itself once it has come further. */
export type Known = Partial<Pick<Identified, 'caller' | 'principal' | 'chain'>>

export interface RefusalDetail {
  /** For the record and the log; never sent to the agent; holds no secret. */
  readonly detail?: string
  /** The rule that decided. */
  readonly rule?: string
  /** The budget that is used up. */
  readonly budget?: string
  /** Of the rules that decided, where it is not told otherwise. */
  readonly policyVersion?: string
  /** Whole seconds until it may be tried again. */
  readonly retryAfter?: number
  /** Rules in shadow mode that would have decided otherwise; for the record. */
  readonly shadows?: readonly Shadow[]
  readonly cause?: unknown
  /** Who was known by then, where the step that would have said it is the one that refuses; for the record. */
  readonly known?: Known
  /** What was found on the way; goes into the record beside those of the exchange. */
  readonly findings?: readonly Finding[]
}

/** Ends a request early, with a reason from the one closed list. */
export class Refusal extends Error {
  override readonly name = 'Refusal'
  readonly reason: Reason
  readonly detail: string | undefined
  readonly rule: string | undefined
  readonly budget: string | undefined
  readonly policyVersion: string | undefined
  readonly retryAfter: number | undefined
  readonly shadows: readonly Shadow[] | undefined
  readonly findings: readonly Finding[]
  readonly known: Known | undefined

  constructor(
    reason: Reason,
    { detail, rule, budget, policyVersion, retryAfter, shadows, cause, findings = [], known }: RefusalDetail = {},
  ) {
    super(detail === undefined ? reason : `${reason}: ${detail}`, cause === undefined ? undefined : { cause })
    this.reason = reason
    this.detail = detail
    this.rule = rule
    this.budget = budget
    this.policyVersion = policyVersion
    this.retryAfter = retryAfter
    this.shadows = shadows
    this.findings = findings
    this.known = known
  }

  get status(): number {
    return reasons[this.reason].status
  }

  /** Whatever was thrown, as a refusal: the unexpected becomes `internal_error`. */
  static from(error: unknown): Refusal {
    if (error instanceof Refusal) return error
    const detail = error instanceof Error ? `${error.name}: ${error.message}` : String(error)
    return new Refusal('internal_error', { detail, cause: error })
  }

  /** Problem details as sent to the agent (RFC 9457); `type` leads to the page of the reason. */
  problem(requestId: string): Record<string, unknown> {
    const row: Row = reasons[this.reason]
    return {
      type: `https://postern.internal/v1/reasons/${this.reason}`,
      title: row.title,
      status: row.status,
      reason: this.reason,
      next: row.next,
      request_id: requestId,
      // Where SDKs of language models look for what to show.
      error: { type: 'postern', code: this.reason, message: `${row.title} ${row.next}` },
      ...(this.retryAfter === undefined ? {} : { retry_after: this.retryAfter }),
    }
  }
}
