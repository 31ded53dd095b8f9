// Names in their canonical form: what counts as the same, and what does not.
import { describe, expect, test } from 'vitest'
import { canonicalName } from '../../../certs/x509/canonical-name.ts'
import { DerError } from '../../../certs/x509/der-reader.ts'
import { element, integer, oid, sequence, set } from '../../../certs/x509/der-writer.ts'
import { oids } from '../../../certs/x509/oids.ts'

const utf8 = 0x0c
const printable = 0x13
const ia5 = 0x16
const universal = 0x1c
const bmp = 0x1e

function attribute(tag: number, bytes: Uint8Array | string, type: string = oids.organizationName): Uint8Array {
  return sequence(oid(type), element(tag, typeof bytes === 'string' ? Buffer.from(bytes) : bytes))
}

const canonical = (...relativeNames: readonly Uint8Array[]) =>
  canonicalName(sequence(...relativeNames)).map((each) => Buffer.from(each).toString('hex'))
const one = (tag: number, bytes: Uint8Array | string) => canonical(set(attribute(tag, bytes)))

describe('canonicalName', () => {
  test.each<[string, number, Uint8Array | string]>([
    ['another string type', printable, 'Acme Corp'],
    ['capitals', utf8, 'ACME CORP'],
    ['spaces around and between', ia5, '  acme \t  corp '],
    ['two octets a letter', bmp, Buffer.from('Acme Corp', 'utf16le').swap16()],
    [
      'four octets a letter',
      universal,
      Buffer.concat([...'Acme Corp'].map((letter) => Buffer.from([0, 0, 0, letter.charCodeAt(0)]))),
    ],
  ])('takes for the same: %s', (_, tag, bytes) => {
    expect(one(tag, bytes)).toEqual(one(utf8, 'acme corp'))
  })

  test('takes for different: other letters, other types of attribute, values that are no text', () => {
    const forms = [
      one(utf8, 'acme corp'),
      one(utf8, 'acmecorp'),
      one(utf8, 'äcme corp'),
      one(utf8, 'ÄCME corp'),
      canonical(set(attribute(utf8, 'acme corp', oids.commonName))),
      canonical(set(sequence(oid(oids.organizationName), integer(1)))),
      one(bmp, 'abc'),
      one(universal, Uint8Array.of(0, 0x7f, 0, 0)),
    ]
    expect(new Set(forms.map((form) => form.join())).size).toBe(forms.length)
  })

  test('the order within a relative name does not count, that of relative names does', () => {
    const [a, b] = [attribute(utf8, 'a'), attribute(utf8, 'b', oids.commonName)]
    expect(canonical(set(a, b))).toEqual(canonical(set(b, a)))
    expect(canonical(set(a), set(b))).not.toEqual(canonical(set(b), set(a)))
  })

  test('refuses what is no name', () => {
    expect(() => canonicalName(Uint8Array.of(1))).toThrow(DerError)
    expect(() => canonicalName(sequence(integer(1)))).toThrow(DerError)
  })
})
