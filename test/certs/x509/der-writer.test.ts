// The DER writer against known encodings (X.690, and what OpenSSL writes).
import { describe, expect, test } from 'vitest'
import { bitString, boolean, element, integer, nullValue, oid, sequence, time } from '../../../certs/x509/der-writer.ts'

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex')

describe('DER writer', () => {
  test.each([
    [0, '020100'],
    [1, '020101'],
    [127, '02017f'],
    [128, '02020080'],
    [256, '02020100'],
    [0xffffffff, '020500ffffffff'],
  ])('writes the integer %i in its shortest positive form', (value, expected) => {
    expect(hex(integer(value))).toBe(expected)
  })

  test('cuts leading zeros of a magnitude and keeps it positive', () => {
    expect(hex(integer(Uint8Array.of(0, 0, 0x80)))).toBe('02020080')
    expect(hex(integer(Uint8Array.of(0, 0, 0)))).toBe('020100')
  })

  test.each([
    ['2.5.29.17', '0603551d11'],
    ['1.2.840.113549.1.1.11', '06092a864886f70d01010b'],
    ['1.3.101.112', '06032b6570'],
    ['2.999.1', '0603883701'],
  ])('writes the object identifier %s', (dotted, expected) => {
    expect(hex(oid(dotted))).toBe(expected)
  })

  test.each([
    [0, '3000'],
    [127, '307f'],
    [128, '308180'],
    [255, '3081ff'],
    [256, '30820100'],
    [65_536, '3083010000'],
  ])('writes a length of %i in its shortest form', (length, head) => {
    expect(hex(element(0x30, new Uint8Array(length))).slice(0, head.length)).toBe(head)
  })

  test('refuses a length that would need four octets', () => {
    expect(() => element(0x30, new Uint8Array(0x100_0000))).toThrow(RangeError)
  })

  test.each([
    ['2049-12-31T23:59:59.999Z', '170d3439313233313233353935395a'],
    ['2050-01-01T00:00:00Z', '180f32303530303130313030303030305a'],
  ])('writes %s as RFC 5280 asks', (text, expected) => {
    expect(hex(time(Date.parse(text)))).toBe(expected)
  })

  test('writes booleans, null, bit strings and what they make together', () => {
    expect(hex(sequence(boolean(true), boolean(false), nullValue(), bitString(Uint8Array.of(0xa0), 5)))).toBe(
      '300c0101ff01010005000302'.concat('05a0'),
    )
  })
})
