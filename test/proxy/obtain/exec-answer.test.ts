import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parseExecAnswer } from '../../../proxy/obtain/exec-answer.ts'
import { Refusal } from '../../../proxy/refusal.ts'

const startedAt = Date.UTC(2026, 0, 1)

describe('refuses, and does not repeat what was printed', () => {
  const cases: [what: string, output: string, detail: string][] = [
    ['nothing', '', 'the command did not print JSON'],
    ['bare text', 'canary-secret', 'the command did not print JSON'],
    ['broken JSON', '{"secret": "canary-secret"', 'the command did not print JSON'],
    ['an array', '["canary-secret"]', 'the command printed an object of another shape'],
    ['an unknown key', '{"secret":"a","canary-secret":1}', 'the command printed an object of another shape'],
    ['no secret', '{"username":"canary-secret"}', 'the command printed a wrong secret'],
    ['a secret that is no text', '{"secret":["canary-secret"]}', 'the command printed a wrong secret'],
    ['a user name with a colon', '{"secret":"a","username":"canary-secret:"}', 'the command printed a wrong username'],
    [
      'a time without zone',
      '{"secret":"a","expiresAt":"2026-01-01T00:00:00"}',
      'the command printed a wrong expiresAt',
    ],
    ['a date alone', '{"secret":"a","expiresAt":"2026-01-01"}', 'the command printed a wrong expiresAt'],
    ['a time as number', '{"secret":"a","expiresAt":1767225600}', 'the command printed a wrong expiresAt'],
    ['no life', '{"secret":"a","expiresIn":0}', 'the command printed a wrong expiresIn'],
    ['a negative life', '{"secret":"a","expiresIn":-1}', 'the command printed a wrong expiresIn'],
    ['a life of centuries', '{"secret":"a","expiresIn":1e12}', 'the command printed a wrong expiresIn'],
    [
      'two ends',
      '{"secret":"a","expiresIn":1,"expiresAt":"2026-01-01T00:00:00Z"}',
      'the command printed a wrong expiresIn',
    ],
  ]
  it.each(cases)('%s', (_what, output, detail) => {
    expect(() => parseExecAnswer(output, startedAt)).toThrow(
      expect.objectContaining({ reason: 'credential_unavailable', detail }),
    )
  })
})

it('reads a time of RFC 3339, with zone', () => {
  const answer = parseExecAnswer('{"secret":"a","expiresAt":"2026-01-01T02:00:00.5+01:00"}', startedAt)
  expect(answer.expiresAt).toBe(Date.UTC(2026, 0, 1, 1, 0, 0, 500))
})

it('counts seconds from the start of the command', () => {
  expect(parseExecAnswer('{"secret":"a","expiresIn":90}', startedAt).expiresAt).toBe(startedAt + 90_000)
})

it('answers or refuses whatever is printed, and nothing else', () => {
  fc.assert(
    fc.property(
      fc.oneof(
        fc.json(),
        fc.string(),
        fc.object().map((value) => JSON.stringify(value)),
      ),
      (output) => {
        try {
          parseExecAnswer(output, startedAt)
        } catch (error) {
          expect(error).toBeInstanceOf(Refusal)
        }
      },
    ),
  )
})
