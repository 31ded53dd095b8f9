import { expect, test } from 'vitest'
import { type DiagnosticsOptions, diagnostics } from '../../../proxy/record/diagnostics.ts'
import { Refusal } from '../../../proxy/refusal.ts'
import { Secret } from '../../../proxy/secret.ts'

function logger(options: DiagnosticsOptions = {}) {
  const lines: string[] = []
  return { log: diagnostics({ ...options, to: { write: (line) => void lines.push(line) } }), lines }
}

const secret = new Secret('crm-token', 'CANARY')

test.each([true, false])('a secret prints as its name, wherever it stands (readable: %s)', (readable) => {
  const { log, lines } = logger({ readable })
  log.info({ secret, deep: { list: [secret] } }, 'obtained %s %j %o', secret, secret, { secret })
  log.error({ err: new Refusal('credential_unavailable', { cause: Object.assign(new Error('x'), { secret }) }) }, 'no')
  expect(lines).toHaveLength(2)
  expect(lines.join()).not.toContain('CANARY')
  expect(lines.join()).toContain('[secret crm-token]')
})

test('a line is JSON with level, time and message', () => {
  const { log, lines } = logger()
  log.warn({ file: 'postern.yaml' }, 'kept the last good configuration')
  expect(JSON.parse(lines[0] ?? '')).toEqual({
    level: 'warn',
    time: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/),
    file: 'postern.yaml',
    message: 'kept the last good configuration',
  })
})

test('what is below the level is not written', () => {
  const { log, lines } = logger({ level: 'warn' })
  log.info('quiet')
  expect(lines).toEqual([])
})

test('for a person it is a sentence, and nothing in it can steer the terminal', () => {
  const { log, lines } = logger({ readable: true })
  log.error({ err: new Error('gone \x1b[2J'), path: '/run/x', note: 'two words' }, 'cannot listen')
  expect(lines[0]).toMatch(/^postern \d\d:\d\d:\d\d error: cannot listen: gone �\[2J path=\/run\/x note="two words"\n$/)
})
