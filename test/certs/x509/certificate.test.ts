// Certificates taken apart: the same as two other readers say, over real roots and our own.
import 'reflect-metadata'
import { X509Certificate } from 'node:crypto'
import { rootCertificates } from 'node:tls'
import * as peculiar from '@peculiar/x509'
import { describe, expect, test } from 'vitest'
import { pemBlocks } from '../../../certs/pem.ts'
import { parseCertificate } from '../../../certs/x509/certificate.ts'
import { basicConstraintsOf, extendedKeyUsageOf, keyUsageOf } from '../../../certs/x509/extensions.ts'
import { acceptedKey } from '../../../certs/x509/keys.ts'
import { makeAuthority, makeServerCertificate, makeSvid } from '../../support/pki.ts'

const authority = makeAuthority({ pathLength: 3 })
const certificates = [
  ...rootCertificates,
  authority.pem,
  makeServerCertificate(authority, ['a.example', '10.0.0.1']).cert,
  new X509Certificate(makeSvid(authority, 'spiffe://a.example/w').certificate).toString(),
].flatMap(pemBlocks)

describe('parseCertificate', () => {
  test('has enough to read', () => {
    expect(certificates.length).toBeGreaterThan(100)
  })

  test.each(
    certificates.map(({ der }) => [new X509Certificate(der).subject.replaceAll('\n', ', ') || 'no subject', der]),
  )('agrees with OpenSSL and another reader: %s', (_, der) => {
    const ours = parseCertificate(der)
    const openssl = new X509Certificate(der)
    expect(ours.serial).toBe(openssl.serialNumber.toLowerCase().replace(/^0+(?=.)/, ''))
    expect(ours.notBefore).toBe(openssl.validFromDate.getTime())
    expect(ours.notAfter).toBe(openssl.validToDate.getTime())
    expect(Buffer.from(ours.publicKey)).toEqual(openssl.publicKey.export({ type: 'spki', format: 'der' }))
    expect(basicConstraintsOf(ours).ca).toBe(openssl.ca)
    expect([...(extendedKeyUsageOf(ours) ?? [])]).toEqual(openssl.keyUsage ?? [])
    const { publicExponent = 65_537n } = openssl.publicKey.asymmetricKeyDetails ?? {}
    expect(acceptedKey(ours.publicKey) !== undefined).toBe(publicExponent >= 65_537n)

    const theirs = new peculiar.X509Certificate(Buffer.from(der))
    expect(Buffer.from(ours.subject)).toEqual(Buffer.from(theirs.subjectName.toArrayBuffer()))
    expect(Buffer.from(ours.issuer)).toEqual(Buffer.from(theirs.issuerName.toArrayBuffer()))
    expect([...ours.extensions].map(([oid, { critical }]) => [oid, critical])).toEqual(
      theirs.extensions.map(({ type, critical }) => [type, critical]),
    )
    const usages = theirs.getExtension(peculiar.KeyUsagesExtension)?.usages
    const usage = keyUsageOf(ours)
    expect(usage?.keyCertSign).toBe(
      usages === undefined ? undefined : (usages & peculiar.KeyUsageFlags.keyCertSign) !== 0,
    )
    expect(usage?.digitalSignature).toBe(
      usages === undefined ? undefined : (usages & peculiar.KeyUsageFlags.digitalSignature) !== 0,
    )
    expect(basicConstraintsOf(ours).pathLength).toBe(
      theirs.getExtension(peculiar.BasicConstraintsExtension)?.pathLength,
    )
  })
})
