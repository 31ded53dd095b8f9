// IP literals to bytes.
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { ipBytes } from '../../../certs/x509/ip-bytes.ts'

test.each([
  '',
  'a.example',
  '1.2.3',
  '1.2.3.4.5',
  '01.2.3.4',
  '0x7f.1',
  '256.1.1.1',
  '[::1]',
  '::1%lo',
  ':::',
  '1::2::3',
])('%j is no IP literal', (text) => expect(ipBytes(text)).toBeUndefined())

test.each([
  ['10.20.30.40', '0a141e28'],
  ['::', '0'.repeat(32)],
  ['::1', `${'0'.repeat(31)}1`],
  ['2001:db8::7', '20010db8000000000000000000000007'],
  ['fe80::', 'fe800000000000000000000000000000'],
  ['1:2:3:4:5:6:7:8', '00010002000300040005000600070008'],
  ['::ffff:10.0.0.1', '00000000000000000000ffff0a000001'],
])('%s is %s', (text, hex) => {
  expect(Buffer.from(ipBytes(text) ?? []).toString('hex')).toBe(hex)
})

test('every IPv6 address in any compression gives its sixteen bytes', () => {
  fc.assert(
    fc.property(
      fc.ipV6().filter((text) => !text.includes('.')),
      (text) => {
        const bytes = ipBytes(text)
        expect(bytes).toHaveLength(16)
        const canonical = new URL(`http://[${text}]/`).hostname
        const groups =
          Buffer.from(bytes ?? [])
            .toString('hex')
            .match(/.{4}/g) ?? []
        expect(new URL(`http://[${groups.join(':')}]/`).hostname).toBe(canonical)
      },
    ),
  )
})
