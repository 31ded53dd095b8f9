// Why a SPIFFE bundle is not accepted: one closed list.

export type BundleFault =
  | 'bundle_not_json'
  | 'bundle_duplicate_member'
  | 'bundle_too_deep'
  | 'bundle_too_large'
  | 'bundle_no_keys'
  | 'bundle_too_many_keys'
  | 'bundle_bad_key'
  | 'bundle_private_key'
  | 'bundle_no_key_id'
  | 'bundle_duplicate_key_id'
  | 'bundle_bad_certificate'
  | 'bundle_bad_sequence'
  | 'bundle_bad_refresh_hint'
  | 'bundle_no_trust_domains'
  | 'bundle_no_trust_domain'
  | 'bundle_bad_trust_domain'
  | 'bundle_older'

export class BundleError extends Error {
  override readonly name = 'BundleError'
  readonly code: BundleFault
  /** For logs and status; holds nothing of what the document says. */
  readonly detail: string

  constructor(code: BundleFault, detail: string, cause?: unknown) {
    super(`${code}: ${detail}`, cause === undefined ? undefined : { cause })
    this.code = code
    this.detail = detail
  }
}
