// One file keeps what is spent of budgets and what delegations bound in all, each apart from the other.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
import { openBudgets } from '../../../cli/wire/budgets.ts'

const now = () => Date.UTC(2026, 0, 5, 9, 30)
const debit = {
  jti: 'a',
  digest: 'a',
  key: 'calls',
  type: 'max_lifetime',
  bound: 2,
  amount: 1,
  expiresAt: now() + 60_000,
} as const

async function folder(): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'postern-budgets-'))
  onTestFinished(() => rm(path, { recursive: true, force: true }))
  return path
}

const problem = (error: Error) => expect.fail(error.message)

it('totals of delegations outlive the process, beside the file of stops', async () => {
  const beside = join(await folder(), 'stops.jsonl')
  const first = await openBudgets(beside, { now, onProblem: problem })
  expect(first.totals.debit([debit])).toBeUndefined()
  expect(first.totals.debit([debit])).toBeUndefined()
  await first.close()
  const second = await openBudgets(beside, { now, onProblem: problem })
  expect(second.totals.debit([debit])).toEqual(debit)
  await second.close()
})

it('without a place for it, all is kept in memory', async () => {
  const { totals, close } = await openBudgets(undefined, { now, onProblem: problem })
  expect([1, 2, 3].map(() => totals.debit([debit]) === undefined)).toEqual([true, true, false])
  await close()
})

it('the file of stops is not taken for it', async () => {
  await expect(openBudgets(join(await folder(), 'budgets.jsonl'), { now, onProblem: problem })).rejects.toThrow(
    'give stop.file another',
  )
})
