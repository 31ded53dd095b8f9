// A truststore for Java, in its own JKS format: a list of certificates under a digest. Every JVM reads it, whereas a
// PKCS#12 store is read as a truststore only with an attribute of Oracle's that PKCS#12 libraries do not write.
import { createHash } from 'node:crypto'

/** Guards the digest alone; the store holds nothing secret, and Java's own store has the same. */
export const javaPassword = 'changeit'

/** @param roots DER of each certificate that is trusted */
export function javaTruststore(roots: readonly Uint8Array[]): Uint8Array {
  const body = Buffer.concat([uint32(0xfeed_feed), uint32(2), uint32(roots.length), ...roots.flatMap(entry)])
  const digest = createHash('sha1').update(Buffer.from(javaPassword, 'utf16le').swap16()).update('Mighty Aphrodite')
  return Buffer.concat([body, digest.update(body).digest()])
}

const trustedCertificate = 2

/** Tag, alias, date of making (not told), type, certificate. */
function entry(der: Uint8Array, number: number): readonly Uint8Array[] {
  return [uint32(trustedCertificate), text(`root-${number}`), Buffer.alloc(8), text('X.509'), uint32(der.length), der]
}

function uint32(value: number): Uint8Array {
  const bytes = Buffer.allocUnsafe(4)
  bytes.writeUInt32BE(value)
  return bytes
}

/** Two octets of length, then the text (ASCII here, where Java's own UTF-8 is the same). */
function text(value: string): Uint8Array {
  return Buffer.concat([Uint8Array.of(value.length >> 8, value.length & 0xff), Buffer.from(value, 'latin1')])
}
