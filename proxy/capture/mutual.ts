// The TLS of a listener on which callers show certificates.
import { constants } from 'node:crypto'
import type { Socket } from 'node:net'
import { createSecureContext, type SecureContext, TLSSocket, type TlsOptions } from 'node:tls'

/** Sessions are not resumed: a ticket would bring back a caller without the chain to judge it by. */
export function mutualContext(tls: TlsOptions): SecureContext {
  return createSecureContext({ ...tls, minVersion: 'TLSv1.3', secureOptions: constants.SSL_OP_NO_TICKET })
}

/**
 * Waits for the first byte of a ClientHello, which stays to be read: whoever sends none costs no handshake.
 * Rejects like `mutual`.
 * @param patience milliseconds
 */
export function spoken(socket: Socket, patience: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const settle = (error?: NodeJS.ErrnoException) => {
      clearTimeout(timer)
      socket.off('readable', look).off('end', gone).off('close', gone)
      if (error === undefined) resolve()
      else reject(error)
    }
    const look = () => {
      if (socket.readableLength > 0) settle()
    }
    const gone = () => settle(failed('ECONNRESET'))
    const timer = setTimeout(() => settle(failed('ERR_TLS_HANDSHAKE_TIMEOUT')), patience)
    socket.on('readable', look).on('end', gone).on('close', gone)
  })
}

/**
 * Whoever presents a certificate proves possession of its key here; whether the certificate is an SVID that we trust is
 * for the attestor, since OpenSSL's verdict lets through what SPIFFE forbids.
 * Rejects with the error of OpenSSL, `ECONNRESET` or `ERR_TLS_HANDSHAKE_TIMEOUT`; the connection is closed then.
 * @param patience milliseconds
 */
export function mutual(socket: Socket, secureContext: SecureContext, patience: number): Promise<TLSSocket> {
  const secured = new TLSSocket(socket, {
    isServer: true,
    secureContext,
    requestCert: true,
    rejectUnauthorized: false,
    ALPNProtocols: ['http/1.1'],
  })
  return new Promise((resolve, reject) => {
    const settle = (error?: Error) => {
      clearTimeout(timer)
      secured.off('error', settle).off('close', gone)
      secured.on('error', () => secured.destroy())
      if (error === undefined) return resolve(secured)
      secured.destroy()
      reject(error)
    }
    const gone = () => settle(failed('ECONNRESET'))
    const timer = setTimeout(() => settle(failed('ERR_TLS_HANDSHAKE_TIMEOUT')), patience)
    secured
      .once('secure', () => settle())
      .once('error', settle)
      .once('close', gone)
  })
}

const failed = (code: string): NodeJS.ErrnoException => Object.assign(new Error(code), { code })
