// Tells by OpenSSL's name of an alert that the other side did not like our certificate, or the lack of one.

/** The alerts that concern the certificate of the one who is told (RFC 8446 §6.2), by the ends of Node's codes for them. */
const aboutOurs =
  /_(?:ALERT_(?:BAD_CERTIFICATE|UNSUPPORTED_CERTIFICATE|CERTIFICATE_(?:REQUIRED|UNKNOWN|EXPIRED|REVOKED)|NO_CERTIFICATE|UNKNOWN_CA|ACCESS_DENIED)|BAD_CERTIFICATE_HASH_VALUE)$/

/** @param code of an error of a TLS socket. In TLS 1.3 it may come long after the handshake, which the other side judges last. */
export function isRejection(code: string): boolean {
  return code.startsWith('ERR_SSL_') && aboutOurs.test(code)
}
