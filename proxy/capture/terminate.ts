// Ends a client's TLS here, with a certificate made for the host that it is for; or ends it with an alert.
import { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { type SecureContext, TLSSocket } from 'node:tls'
import type { HostName } from '../exchange.ts'
import { Refusal } from '../refusal.ts'
import type { ClientHello } from './client-hello.ts'
import { endWith, refuseOnSocket } from './reply.ts'

/** Where certificates for the hosts that agents call come from. */
export interface Leaves {
  contextFor(host: string): SecureContext
  /** Whether that one is there already. */
  has(host: string): boolean
}

/**
 * @param socket on which the ClientHello is still to be read
 * @param patience milliseconds that the handshake may take
 * @returns the stream inside, ready for requests
 * @throws Refusal `unsupported_protocol`, `client_rejected_certificate`, `request_timeout`, `bad_request`
 */
export async function terminate(
  socket: Duplex,
  { alpn }: ClientHello,
  host: HostName,
  leaves: Leaves,
  patience: number,
): Promise<TLSSocket> {
  if (alpn.length > 0 && !alpn.includes('http/1.1') && !alpn.includes('http/1.0')) {
    throw new Refusal('unsupported_protocol', { detail: 'the client offers no HTTP/1.1 by ALPN' })
  }
  const secured = new TLSSocket(socket as ConstructorParameters<typeof TLSSocket>[0], {
    isServer: true,
    secureContext: leaves.contextFor(host),
    ALPNProtocols: ['http/1.1'],
  })
  await handshake(secured, patience)
  return secured
}

function handshake(secured: TLSSocket, patience: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const settle = (refusal?: Refusal) => {
      clearTimeout(timer)
      secured.off('error', failed).off('end', closed).off('close', closed)
      secured.on('error', () => secured.destroy())
      if (refusal === undefined) resolve()
      else reject(refusal)
    }
    const failed = (error: NodeJS.ErrnoException) => settle(refusalOfHandshake(error))
    const closed = () =>
      settle(new Refusal('client_rejected_certificate', { detail: 'closed during the TLS handshake' }))
    const timer = setTimeout(
      () => settle(new Refusal('request_timeout', { detail: 'the TLS handshake took too long' })),
      patience,
    )
    secured
      .once('secure', () => settle())
      .once('error', failed)
      .once('end', closed)
      .once('close', closed)
  })
}

/** An alert about the certificate, or a connection dropped right after it was shown, is the client's refusal of our leaf. */
function refusalOfHandshake(error: NodeJS.ErrnoException): Refusal {
  const code = error.code ?? ''
  const rejected =
    /ALERT_(UNKNOWN_CA|BAD_CERTIFICATE|CERTIFICATE_UNKNOWN|CERTIFICATE_EXPIRED|CERTIFICATE_REVOKED|UNSUPPORTED_CERTIFICATE|ACCESS_DENIED)/
  if (rejected.test(code) || code === 'ECONNRESET')
    return new Refusal('client_rejected_certificate', { detail: code, cause: error })
  return new Refusal('bad_request', { detail: `TLS handshake: ${code}`, cause: error })
}

/** Fatal alerts (RFC 8446 §6.2) for a client that awaits a ServerHello and could not read an HTTP answer. */
const alerts: Partial<Record<string, number>> = {
  misdirected: 112,
  unnamed_target: 112,
  unsupported_protocol: 120,
  bad_request: 50,
  ambiguous_target: 50,
}
const accessDenied = 49

/**
 * Refuses on a connection on which bytes of the client may be waiting, in the words of what it speaks.
 * @param http whether it understands HTTP; where nothing would be understood the connection is reset
 */
export function endTunnel(socket: Duplex, refusal: Refusal, id: string, http: boolean): void {
  if (!socket.writable) {
    socket.destroy()
    return
  }
  const first: Buffer | null = socket.read()
  if (first?.[0] === 22) endWith(socket, Buffer.from([21, 3, 3, 0, 2, 2, alerts[refusal.reason] ?? accessDenied]))
  else if (http) refuseOnSocket(socket, refusal, id)
  else if (socket instanceof Socket) socket.resetAndDestroy()
  else socket.destroy()
}
