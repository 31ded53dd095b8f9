// docs/reasons.md and the table of refusals say the same.
import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { reasonsPage } from '../../deploy/docs/reasons-page.ts'
import { type Reason, Refusal, reasons } from '../../proxy/refusal.ts'

const page = readFileSync(new URL('../../docs/reasons.md', import.meta.url), 'utf8')
const all = Object.keys(reasons) as Reason[]

test('the page is as `npm run docs` makes it', () => {
  expect(page).toBe(reasonsPage())
})

test('every reason is on the page, and every reason on the page exists', () => {
  const documented = [...page.matchAll(/^\| `(\w+)` \|/gm)].map(([, reason]) => reason)
  expect(documented).toEqual(all)
})

describe.each(all)('%s', (reason) => {
  const { status, title, next } = reasons[reason]

  test('has a status that says whose fault it is', () => {
    expect(status).toBeGreaterThanOrEqual(400)
    expect(status).toBeLessThan(600)
  })

  test('is told in one sentence, with what to do next in another', () => {
    expect(title).toMatch(/^[A-Z].*[^.]\.$/)
    expect(next).toMatch(/^[A-Z].*[^.]\.$/)
    // A bar would end the cell of a table.
    expect(title + next).not.toContain('|')
  })

  test('reaches the agent without its detail, rule or cause', () => {
    const refusal = new Refusal(reason, { detail: 'CANARY', rule: 'CANARY', cause: new Error('CANARY'), retryAfter: 7 })
    const problem = refusal.problem('id-1')
    expect(JSON.stringify(problem)).not.toContain('CANARY')
    expect(problem).toMatchObject({ status, reason, title, next, request_id: 'id-1', retry_after: 7 })
    expect(problem.error).toEqual({ type: 'postern', code: reason, message: `${title} ${next}` })
  })
})
