// A truststore for Java in its default format, PKCS#12 (RFC 7292): bags of certificates under a MAC.
import { createHmac, randomBytes } from 'node:crypto'
import type { asn1 } from 'node-forge'

/** Guards the MAC alone; the store holds nothing secret, and Java's own store has the same. */
export const javaPassword = 'changeit'

/**
 * The MAC is by SHA-1, which every Java 8 reads; SHA-256 is read since 8u301. It finds damage, and hides nothing.
 * @param roots DER of each certificate that is trusted; none is parsed, so the kind of its key does not matter
 */
export async function javaTruststore(roots: readonly Uint8Array[]): Promise<Uint8Array> {
  // Only who writes a store waits for it to load: some 30 ms.
  const { default: forge } = await import('node-forge')
  const { Class, Type, create, integerToDer, oidToDer, toDer } = forge.asn1

  const sequence = (...parts: asn1.Asn1[]) => create(Class.UNIVERSAL, Type.SEQUENCE, true, parts)
  const set = (...parts: asn1.Asn1[]) => create(Class.UNIVERSAL, Type.SET, true, parts)
  const explicit = (part: asn1.Asn1) => create(Class.CONTEXT_SPECIFIC, 0, true, [part])
  const octets = (bytes: string) => create(Class.UNIVERSAL, Type.OCTETSTRING, false, bytes)
  const oid = (dotted: string) => create(Class.UNIVERSAL, Type.OID, false, oidToDer(dotted).getBytes())
  const integer = (value: number) => create(Class.UNIVERSAL, Type.INTEGER, false, integerToDer(value).getBytes())
  const data = (content: string) => sequence(oid(oids.data), explicit(octets(content)))

  // Shared by all bags. Without it Java passes over a certificate that has no private key.
  const trusted = sequence(oid(oids.trustedKeyUsage), set(oid(oids.anyExtendedKeyUsage)))
  // Java keeps the last of those that have the same name.
  const named = (name: string) =>
    sequence(oid(oids.friendlyName), set(create(Class.UNIVERSAL, Type.BMPSTRING, false, name)))
  const bag = (root: Uint8Array, number: number) =>
    sequence(
      oid(oids.certificateBag),
      explicit(sequence(oid(oids.x509Certificate), explicit(octets(binary(root))))),
      set(trusted, named(`root-${number}`)),
    )

  const safe = toDer(sequence(data(toDer(sequence(...roots.map(bag))).getBytes()))).getBytes()
  const salt = binary(randomBytes(macLength))
  const key = forge.pkcs12.generateKey(javaPassword, forge.util.createBuffer(salt), macKey, macIterations, macLength)
  const mac = createHmac('sha1', Buffer.from(key.getBytes(), 'latin1')).update(safe, 'latin1').digest()
  const digest = sequence(sequence(oid(oids.sha1), create(Class.UNIVERSAL, Type.NULL, false, '')), octets(binary(mac)))
  const store = sequence(integer(3), data(safe), sequence(digest, octets(salt), integer(macIterations)))
  return Buffer.from(toDer(store).getBytes(), 'latin1')
}

/** What the derived key is for (RFC 7292 B.3). */
const macKey = 3
/** As many octets as SHA-1 gives. */
const macLength = 20
/** Few, since the password is known to all. */
const macIterations = 1024

const oids = {
  data: '1.2.840.113549.1.7.1',
  certificateBag: '1.2.840.113549.1.12.10.1.3',
  x509Certificate: '1.2.840.113549.1.9.22.1',
  friendlyName: '1.2.840.113549.1.9.20',
  sha1: '1.3.14.3.2.26',
  /** Oracle's own: for what the certificate is trusted. */
  trustedKeyUsage: '2.16.840.1.113894.746875.1.1',
  anyExtendedKeyUsage: '2.5.29.37.0',
} as const

/** One character an octet, which is how node-forge holds bytes. */
function binary(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1')
}
