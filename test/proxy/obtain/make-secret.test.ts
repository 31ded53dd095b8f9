import fc from 'fast-check'
import { expect, it } from 'vitest'
import { longestSecret, makeSecret } from '../../../proxy/obtain/make-secret.ts'
import { Refusal } from '../../../proxy/refusal.ts'

const cases: [what: string, text: string, problem: string][] = [
  ['nothing', '', 'is empty'],
  ['a line end, which would end the header field', 'abc\r\nX-Evil: 1', 'holds a control character'],
  ['a NUL', 'abc\0', 'holds a control character'],
  ['DEL', 'abc\u007f', 'holds a control character'],
  ['half a character', 'abc\ud800', 'is not well-formed Unicode'],
  ['more than fits into a head', 'x'.repeat(longestSecret + 1), 'is longer than 16384 characters'],
]

it.each(cases)('refuses %s', (_what, text, problem) => {
  expect(() => makeSecret('crm', text, 'the file')).toThrow(
    expect.objectContaining({ reason: 'credential_unavailable', detail: `the file ${problem}` }),
  )
})

it('either gives back what it was given, or refuses without repeating it', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary', minLength: 4 }), (text) => {
      try {
        expect(makeSecret('crm', text, 'origin').reveal()).toBe(text)
      } catch (error) {
        expect(error).toBeInstanceOf(Refusal)
        expect(String(error)).not.toContain(text)
      }
    }),
  )
})
