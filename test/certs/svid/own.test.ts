// One's own SVID: what does not load and why. The PEM files of go-spiffe go as their names say.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { pemBlocks } from '../../../certs/pem.ts'
import type { X509Svid } from '../../../certs/source.ts'
import { takeOwnSvid } from '../../../certs/svid/own.ts'
import { makeAuthority, makeKey, makeSvid } from '../../support/pki.ts'
import { vectors } from '../../support/vectors.ts'

const pkcs8 = ({ privateKey }: { privateKey: import('node:crypto').KeyObject }) =>
  privateKey.export({ type: 'pkcs8', format: 'der' })

describe('takeOwnSvid', () => {
  const root = makeAuthority()
  const svid = makeSvid(makeAuthority({ parent: root }), 'spiffe://acme.example/agent')

  test('refuses an empty chain', () => {
    expect(() => takeOwnSvid([], pkcs8(svid.key))).toThrow('svid_missing')
  })

  test('refuses bytes that are no certificate', () => {
    expect(() => takeOwnSvid([Uint8Array.of(1, 2, 3)], pkcs8(svid.key))).toThrow('svid_unparsable')
  })

  test('refuses a key that is not PKCS#8', () => {
    const sec1 = svid.key.privateKey.export({ type: 'sec1', format: 'der' })
    expect(() => takeOwnSvid(svid.chain, sec1)).toThrow('cannot be read as PKCS#8')
  })

  test('refuses the key of another certificate', () => {
    expect(() => takeOwnSvid(svid.chain, pkcs8(makeKey()))).toThrow('not that of the certificate')
  })

  test('refuses a chain whose second certificate is a workload', () => {
    expect(() => takeOwnSvid([svid.certificate, svid.certificate], pkcs8(svid.key))).toThrow('svid_issuer_not_ca')
  })

  test('takes a sound one, which expires with the first certificate of its chain', () => {
    const soon = Math.floor(Date.now() / 1000) * 1000 + 60_000
    const shortLived = makeAuthority({ parent: root, notAfter: soon })
    const { chain, key } = makeSvid(shortLived, 'spiffe://acme.example/agent')
    expect(takeOwnSvid(chain, pkcs8(key))).toMatchObject({ id: 'spiffe://acme.example/agent', expiresAt: soon, chain })
  })
})

const folder = vectors('spiffe/x509-svid')

describe.skipIf(folder === undefined)('the PEM files of go-spiffe', () => {
  const text = (file: string) => readFileSync(join(folder ?? '', file), 'utf8')
  const of = (file: string, label: string) => pemBlocks(text(file)).filter((block) => block.label === label)
  const load = (certificates: string, key: string): X509Svid => {
    const [pkcs8] = of(key, 'PRIVATE KEY')
    if (pkcs8 === undefined) throw new Error('there is no private key')
    return takeOwnSvid(
      of(certificates, 'CERTIFICATE').map(({ der }) => der),
      pkcs8.der,
    )
  }

  test.each([
    ['wrong-leaf-ca-true.pem', 'svid_is_ca'],
    ['wrong-leaf-cert-sign.pem', 'svid_key_usage: keyCertSign is set'],
    ['wrong-leaf-crl-sign.pem', 'svid_key_usage: cRLSign is set'],
    ['wrong-leaf-empty-id.pem', 'svid_no_uri_san'],
    ['wrong-leaf-no-digital-signature.pem', 'svid_key_usage: digitalSignature is missing'],
    ['wrong-intermediate-no-ca.pem', 'svid_issuer_not_ca'],
    ['wrong-intermediate-no-key-cert-sign.pem', 'svid_issuer_not_ca'],
    ['corrupt-cert.pem', 'svid_unparsable'],
    ['key-pkcs8-rsa.pem', 'svid_missing'],
    ['not-pem', 'svid_missing'],
  ])('%s does not load: %s', (file, message) => {
    expect(() => load(file, 'key-pkcs8-rsa.pem')).toThrow(message)
  })

  test.each([
    ['not-pem', 'there is no private key'],
    ['corrupt-key.pem', 'cannot be read as PKCS#8'],
    ['key-pkcs8-ecdsa.pem', 'not that of the certificate'],
  ])('the key in %s does not load: %s', (file, message) => {
    expect(() => load('good-leaf-only.pem', file)).toThrow(message)
  })

  test.each([
    ['good-cert-and-key.pem', 'good-cert-and-key.pem', 1],
    ['good-key-and-cert.pem', 'good-key-and-cert.pem', 1],
    ['good-leaf-and-intermediate.pem', 'key-pkcs8-ecdsa.pem', 2],
    ['good-leaf-only.pem', 'key-pkcs8-rsa.pem', 1],
  ])('%s loads with %s', (certificates, key, length) => {
    const svid = load(certificates, key)
    expect(svid.id).toBe('spiffe://example.org/workload-1')
    expect(svid.chain).toHaveLength(length)
  })
})
