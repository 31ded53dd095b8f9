// Why an X509-SVID is not accepted: one closed list.

export type SvidFault =
  | 'svid_missing'
  | 'svid_unparsable'
  | 'svid_chain_too_long'
  | 'svid_no_uri_san'
  | 'svid_many_uri_sans'
  | 'svid_bad_id'
  | 'svid_no_path'
  | 'svid_san_not_critical'
  | 'svid_is_ca'
  | 'svid_key_usage'
  | 'svid_extended_key_usage'
  | 'svid_untrusted_domain'
  | 'svid_not_yet_valid'
  | 'svid_expired'
  | 'svid_bad_signature'
  | 'svid_no_path_to_root'
  | 'svid_issuer_not_ca'
  | 'svid_path_length'
  | 'svid_name_constraints'
  | 'svid_critical_extension'
  | 'svid_signing_id'
  | 'svid_weak_key'
  | 'svid_revoked'

export class SvidError extends Error {
  override readonly name = 'SvidError'
  readonly code: SvidFault
  /** For logs and records; holds nothing that the peer wrote but object identifiers. */
  readonly detail: string

  constructor(code: SvidFault, detail: string, cause?: unknown) {
    super(`${code}: ${detail}`, cause === undefined ? undefined : { cause })
    this.code = code
    this.detail = detail
  }
}
