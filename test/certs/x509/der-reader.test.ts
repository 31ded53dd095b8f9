// The DER reader: every second way to write a value is refused; what the writer wrote comes back.
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { DerError, DerReader } from '../../../certs/x509/der-reader.ts'
import { tags } from '../../../certs/x509/der-tags.ts'
import { bitString, boolean, integer, octetString, oid, sequence, time } from '../../../certs/x509/der-writer.ts'

const reader = (hex: string) => new DerReader(Buffer.from(hex, 'hex'))

describe('DerReader refuses', () => {
  test.each<[string, string, (reader: DerReader) => unknown]>([
    ['the end where an element is due', '', (each) => each.any()],
    ['a tag alone', '30', (each) => each.any()],
    ['a length that goes beyond the end', '300201', (each) => each.any()],
    ['an indefinite length', '30800000', (each) => each.any()],
    ['a length cut off', '3082', (each) => each.any()],
    ['a long length where a short one would do', '300181', (each) => each.sequence().any()],
    ['127 written in long form', `30817f${'00'.repeat(127)}`, (each) => each.any()],
    ['255 written in two octets', `308200ff${'00'.repeat(255)}`, (each) => each.any()],
    ['a length of four octets', '308400000001 00', (each) => each.any()],
    ['a tag above 30', '1f2000', (each) => each.any()],
    ['another tag than asked for', '0500', (each) => each.next(tags.sequence)],
    ['something after the only element', '300000', (each) => DerReader.only(each.any().whole.subarray(0), tags.set)],
    ['an empty integer', '0200', (each) => each.integer()],
    ['an integer with a needless zero', '0202007f', (each) => each.integer()],
    ['an integer with a needless sign', '0202ff80', (each) => each.integer()],
    ['a negative small integer', '0201ff', (each) => each.smallInteger()],
    ['a small integer of five octets', '02050100000000', (each) => each.smallInteger()],
    ['a boolean of 1', '010101', (each) => each.boolean()],
    ['a boolean of two octets', '0102ffff', (each) => each.boolean()],
    ['an empty bit string', '0300', (each) => each.bitString()],
    ['a bit string with eight unused bits', '03020800', (each) => each.bitString()],
    ['a bit string with unused bits of nothing', '030101', (each) => each.bitString()],
    ['a bit string whose unused bits are set', '03020181', (each) => each.bitString()],
    ['a signature that is cut within an octet', '03020180', (each) => each.octets()],
    ['a signature without its count of unused bits', '0300', (each) => each.octets()],
    ['an empty object identifier', '0600', (each) => each.oid()],
    ['an object identifier cut off', '06022a86', (each) => each.oid()],
    ['an object identifier with a needless octet', '06032a8001', (each) => each.oid()],
    ['an object identifier with an endless arc', `060a2a${'ff'.repeat(8)}7f`, (each) => each.oid()],
    ['a text for a time', '0c0130', (each) => each.time()],
  ])('%s', (_, hex, read) => {
    expect(() => read(reader(hex))).toThrow(DerError)
  })

  test.each([
    ['UTC', '260301120000+0100'],
    ['UTC', '2603011200Z'],
    ['UTC', '260301120000'],
    ['UTC', '26O301120000Z'],
    ['UTC', '260230000000Z'],
    ['UTC', '260001000000Z'],
    ['UTC', '261301000000Z'],
    ['UTC', '260301240000Z'],
    ['UTC', '260301006000Z'],
    ['UTC', '260301000060Z'],
    ['UTC', '20260301120000Z'],
    ['generalized', '260301120000Z'],
    ['generalized', '20260301120000.5Z'],
    ['generalized', '20260229000000Z'],
  ])('the %s time %s', (kind, text) => {
    const tag = kind === 'UTC' ? 0x17 : 0x18
    const bytes = Buffer.concat([Buffer.from([tag, text.length]), Buffer.from(text)])
    expect(() => new DerReader(bytes).time()).toThrow(DerError)
  })
})

describe('DerReader reads', () => {
  test('two-digit years from 1950 to 2049', () => {
    const year = (digits: string) =>
      new Date(new DerReader(Buffer.from(`\x17\x0d${digits}0101000000Z`, 'latin1')).time()).getUTCFullYear()
    expect([year('49'), year('50'), year('99'), year('00')]).toEqual([2049, 1950, 1999, 2000])
  })

  test('whatever the writer wrote', () => {
    const arc = fc.nat({ max: 2 ** 31 })
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 2 ** 31 - 1 }),
        fc.boolean(),
        fc.uint8Array({ maxLength: 300 }),
        fc.tuple(fc.constantFrom('0', '1'), fc.nat({ max: 39 }), fc.array(arc, { maxLength: 5 })),
        fc.integer({ min: Date.parse('1950-01-01'), max: Date.parse('9999-12-31') }),
        (number, flag, bytes, [first, second, arcs], at) => {
          const dotted = [first, second, ...arcs].join('.')
          const fields = DerReader.only(
            sequence(
              integer(number),
              boolean(flag),
              octetString(bytes),
              bitString(bytes),
              bitString(bytes),
              oid(dotted),
              time(at),
            ),
            tags.sequence,
          )
          expect(fields.smallInteger()).toBe(number)
          expect(fields.boolean()).toBe(flag)
          expect(Buffer.from(fields.octetString()).equals(bytes)).toBe(true)
          expect(Buffer.from(fields.bitString()).equals(bytes)).toBe(true)
          expect(Buffer.from(fields.octets()).equals(bytes)).toBe(true)
          expect(fields.oid()).toBe(dotted)
          expect(fields.time()).toBe(Math.floor(at / 1000) * 1000)
          fields.end()
        },
      ),
    )
  })

  test('random bytes to an end: elements or DerError, and never beyond the input', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => {
        const each = new DerReader(bytes)
        let total = 0
        try {
          while (!each.done) total += each.any().whole.length
          expect(total).toBe(bytes.length)
        } catch (error) {
          expect(error).toBeInstanceOf(DerError)
        }
      }),
      { numRuns: 3000 },
    )
  })
})
