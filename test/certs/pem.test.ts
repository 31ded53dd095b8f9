// PEM: bad blocks are told, good ones come back.
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { certificatePem, PemError, pemBlocks } from '../../certs/pem.ts'

describe('pemBlocks', () => {
  test.each([
    ['a block without an end', '-----BEGIN CERTIFICATE-----\nAAAA\n', 'does not end'],
    ['a label without an end', '-----BEGIN CERTIFICATE', 'does not end'],
    ['an end of another kind', '-----BEGIN CERTIFICATE-----\nAAAA\n-----END PRIVATE KEY-----', 'does not end'],
    ['a body that is no base64', '-----BEGIN CERTIFICATE-----\nA*AA\n-----END CERTIFICATE-----', 'not base64'],
    ['a body of odd length', '-----BEGIN CERTIFICATE-----\nAAAAA\n-----END CERTIFICATE-----', 'not base64'],
    ['an empty body', '-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----', 'not base64'],
    [
      'a key under a passphrase',
      '-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\nAAAA\n-----END RSA PRIVATE KEY-----',
      'not base64',
    ],
    [
      'a block inside a block',
      '-----BEGIN CERTIFICATE-----\n-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----',
      'not base64',
    ],
  ])('refuses %s', (_, text, message) => {
    expect(() => pemBlocks(text)).toThrow(PemError)
    expect(() => pemBlocks(text)).toThrow(message)
  })

  test('finds nothing in a text without blocks', () => {
    expect(pemBlocks('')).toEqual([])
    expect(pemBlocks('not PEM')).toEqual([])
  })

  test('passes over what stands between blocks, takes CRLF and keeps the order', () => {
    const text =
      '# a root\r\n-----BEGIN CERTIFICATE-----\r\nAQID\r\n-----END CERTIFICATE-----\r\nkey:\n-----BEGIN PRIVATE KEY-----\nBAU=\n-----END PRIVATE KEY-----'
    expect(pemBlocks(text).map(({ label, der }) => [label, ...der])).toEqual([
      ['CERTIFICATE', 1, 2, 3],
      ['PRIVATE KEY', 4, 5],
    ])
  })

  test('gives back whatever certificatePem wrote', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ minLength: 1, maxLength: 300 }), { maxLength: 4 }), (ders) => {
        const read = pemBlocks(ders.map(certificatePem).join(''))
        expect(read.map(({ der }) => Buffer.from(der).toString('hex'))).toEqual(
          ders.map((der) => Buffer.from(der).toString('hex')),
        )
      }),
    )
  })

  test('takes time in proportion to the text, however it is made', () => {
    const text = `-----BEGIN CERTIFICATE-----${' \n'.repeat(200_000)}`
    const start = performance.now()
    expect(() => pemBlocks(text)).toThrow(PemError)
    expect(performance.now() - start).toBeLessThan(1000)
  })
})
