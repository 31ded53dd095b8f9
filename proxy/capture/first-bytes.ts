// Looks at the first bytes that an agent sends on a tunnel, without consuming them.
import type { Duplex } from 'node:stream'
import { Refusal } from '../refusal.ts'
import { type ClientHello, readClientHello } from './client-hello.ts'

export type FirstBytes =
  | { readonly speaks: 'tls'; readonly hello: ClientHello }
  | { readonly speaks: 'http' }
  | { readonly speaks: 'other' }

/** A method and the space after it (RFC 9112 §3); longer tokens are no method that anyone uses. */
const requestLine = /^[A-Z][A-Z-]{0,30} /
const beginsLikeMethod = /^[A-Z][A-Z-]{0,30}$/

/**
 * Waits until the first bytes tell what is spoken. They stay readable on `socket`.
 * @param patience milliseconds
 * @throws Refusal `request_timeout`, `client_gone`, `bad_request` (a ClientHello that is none)
 */
export function firstBytes(socket: Duplex, patience: number): Promise<FirstBytes> {
  return new Promise((resolve, reject) => {
    let seen: Buffer = Buffer.alloc(0)
    const settle = (outcome: () => void) => {
      clearTimeout(timer)
      socket.off('readable', look).off('end', gone).off('close', gone).off('error', gone)
      if (seen.length > 0 && !socket.destroyed) socket.unshift(seen)
      outcome()
    }
    const fail = (refusal: Refusal) => settle(() => reject(refusal))
    const gone = () => fail(new Refusal('client_gone', { detail: 'closed before the first bytes were complete' }))
    const look = () => {
      const chunk: Buffer | null = socket.read()
      if (chunk === null) return
      seen = seen.length === 0 ? chunk : Buffer.concat([seen, chunk])
      const reading = readClientHello(seen)
      if (reading.state === 'hello') return settle(() => resolve({ speaks: 'tls', hello: reading.hello }))
      if (reading.state === 'malformed')
        return fail(new Refusal('bad_request', { detail: `ClientHello: ${reading.why}` }))
      if (reading.state === 'more') return
      const text = seen.toString('latin1', 0, 33)
      if (requestLine.test(text)) return settle(() => resolve({ speaks: 'http' }))
      if (!beginsLikeMethod.test(text)) settle(() => resolve({ speaks: 'other' }))
    }
    const timer = setTimeout(
      () => fail(new Refusal('request_timeout', { detail: 'nothing was sent on the tunnel' })),
      patience,
    )
    socket.on('readable', look).on('end', gone).on('close', gone).on('error', gone)
    look()
  })
}
