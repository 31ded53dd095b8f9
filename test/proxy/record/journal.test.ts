import { describe, expect, test } from 'vitest'
import { auditJournal } from '../../../proxy/record/journal.ts'
import type { AuditRecord } from '../../../proxy/record/line.ts'
import type { RecordsSettings } from '../../../proxy/record/settings.ts'
import type { RecordSink } from '../../../proxy/record/sink.ts'
import { Refusal } from '../../../proxy/refusal.ts'
import { anAuthorized, anOutcome } from './exchanges.ts'

/** A sink in memory whose health and commits the test decides. */
function memory() {
  const lines: AuditRecord[] = []
  const state = { healthy: true, commit: () => Promise.resolve() }
  const sink: RecordSink = {
    name: 'memory',
    get healthy() {
      return state.healthy
    },
    write: (record) => void lines.push(record),
    commit(record) {
      lines.push(record)
      return state.commit()
    },
    flush: () => Promise.resolve(),
    reopen: () => {},
    close: () => Promise.resolve(),
  }
  return { lines, state, sink }
}

function journalOf(sink: RecordSink, settings: Partial<RecordsSettings>, seen: unknown[] = []) {
  return auditJournal({
    sink,
    settings: { durability: 'buffered', whenFull: 'refuse', ...settings },
    policyVersion: () => 'p1',
    fingerprint: () => 'f',
    placementOf: () => 'bearer',
    observe: () => {},
    failed: (error) => seen.push(error),
  })
}

const withCredential = anAuthorized({ grant: { credential: 'crm-token' } })
const without = anAuthorized({ grant: {} })

const reasonOf = async (run: () => void | Promise<void>) => {
  try {
    await run()
    return 'let through'
  } catch (error) {
    return error instanceof Refusal ? [error.reason, error.retryAfter] : error
  }
}

describe('while records cannot be written', () => {
  test('a request that would carry a credential is refused', async () => {
    const { sink, state } = memory()
    state.healthy = false
    expect(await reasonOf(() => journalOf(sink, {}).intent(withCredential))).toEqual(['records_unavailable', 5])
  })

  test('one that would carry none is let through', async () => {
    const { sink, state } = memory()
    state.healthy = false
    expect(await reasonOf(() => journalOf(sink, {}).intent(without))).toBe('let through')
  })

  test('everything is let through where the configuration prefers to drop records', async () => {
    const { sink, state } = memory()
    state.healthy = false
    expect(await reasonOf(() => journalOf(sink, { whenFull: 'drop' }).intent(withCredential))).toBe('let through')
  })

  test('an intent that cannot be written refuses the request that it announces', async () => {
    const { sink, state } = memory()
    state.commit = () => Promise.reject(new Error('ENOSPC'))
    const journal = journalOf(sink, { durability: 'intent' })
    expect(await reasonOf(() => journal.intent(withCredential))).toEqual(['records_unavailable', 5])
    expect(await reasonOf(() => journal.intent(without))).toBe('let through')
  })
})

test('with buffered durability nothing is written or awaited before a request leaves', () => {
  const { sink, lines } = memory()
  expect(journalOf(sink, {}).intent(withCredential)).toBeUndefined()
  expect(lines).toEqual([])
})

test('with intents a request waits until its intent is written', async () => {
  const { sink, state, lines } = memory()
  const { promise, resolve } = Promise.withResolvers<void>()
  state.commit = () => promise
  let left = false
  const intent = Promise.resolve(journalOf(sink, { durability: 'intent' }).intent(withCredential)).then(() => {
    left = true
  })
  await new Promise((turn) => setImmediate(turn))
  expect(left).toBe(false)
  resolve()
  await intent
  expect(lines).toMatchObject([
    { kind: 'intent', id: withCredential.id, decision: { verdict: 'allow', policy_version: 'p1' } },
  ])
})

test('recording never throws: a mistake of ours is told and the request lives', () => {
  const { sink } = memory()
  const seen: unknown[] = []
  const broken = {
    ...sink,
    healthy: true,
    write: () => {
      throw new Error('no such field')
    },
  }
  expect(() => journalOf(broken, {}, seen).record(anOutcome({}), 'p2')).not.toThrow()
  expect(seen).toEqual([new Error('no such field')])
})

test('a record carries the version of the policy that the request began with', () => {
  const { sink, lines } = memory()
  journalOf(sink, {}).record(anOutcome({}), 'p2')
  expect(lines[0]?.decision?.policy_version).toBe('p2')
})
