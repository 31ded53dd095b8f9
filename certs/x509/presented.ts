// What the other side of a TLS connection presented, as it sent it: nothing added from any store, nothing judged.
import type { TLSSocket } from 'node:tls'

/** More than any validation accepts; ends the walk along what somebody else made up. */
const mostPresented = 16

/** @returns DER, leaf first; empty when there was no certificate */
export function presentedChain(socket: TLSSocket): Uint8Array[] {
  const chain: Uint8Array[] = []
  let certificate = socket.getPeerX509Certificate()
  while (certificate !== undefined && chain.length < mostPresented) {
    chain.push(certificate.raw)
    certificate = certificate.issuerCertificate
  }
  return chain
}
