// Why a JWT-SVID is not accepted: one closed list.

export type JwtSvidFault =
  | 'jwt_svid_too_long'
  | 'jwt_svid_malformed'
  | 'jwt_svid_algorithm'
  | 'jwt_svid_type'
  | 'jwt_svid_header'
  | 'jwt_svid_no_key_id'
  | 'jwt_svid_no_subject'
  | 'jwt_svid_bad_id'
  | 'jwt_svid_no_path'
  | 'jwt_svid_no_audience'
  | 'jwt_svid_no_expiry'
  | 'jwt_svid_untrusted_domain'
  | 'jwt_svid_unknown_key'
  | 'jwt_svid_weak_key'
  | 'jwt_svid_bad_signature'
  | 'jwt_svid_wrong_audience'
  | 'jwt_svid_not_yet_valid'
  | 'jwt_svid_expired'

export class JwtSvidError extends Error {
  override readonly name = 'JwtSvidError'
  readonly code: JwtSvidFault
  /** For logs and records; holds nothing of what the token says. */
  readonly detail: string

  constructor(code: JwtSvidFault, detail: string, cause?: unknown) {
    super(`${code}: ${detail}`, cause === undefined ? undefined : { cause })
    this.code = code
    this.detail = detail
  }
}
