import { describe, expect, test } from 'vitest'
import { eventJournal } from '../../../proxy/record/event-journal.ts'
import { explain } from '../../../proxy/record/explain.ts'
import { filter } from '../../../proxy/record/filter.ts'
import type { Delegation } from '../../../proxy/record/handoff-schema.ts'
import type { AuditRecord } from '../../../proxy/record/line.ts'
import { auditRecord } from '../../../proxy/record/schema.ts'
import type { RecordSink } from '../../../proxy/record/sink.ts'
import { table } from '../../../proxy/record/table.ts'
import { Refusal } from '../../../proxy/refusal.ts'

function memory(commit: () => Promise<void> = () => Promise.resolve()) {
  const lines: AuditRecord[] = []
  const sink: RecordSink = {
    name: 'memory',
    healthy: true,
    write: (record) => void lines.push(record),
    commit(record) {
      lines.push(record)
      return commit()
    },
    flush: () => Promise.resolve(),
    reopen: () => {},
    close: () => Promise.resolve(),
  }
  return { lines, sink }
}

const journalOf = (sink: RecordSink, whenFull: 'refuse' | 'drop' = 'refuse') =>
  eventJournal({ sink, settings: { whenFull }, now: () => 1_000, newId: () => 'event-1' })

const broken = () => Promise.reject(new Error('ENOSPC'))

const handoff = (event: Delegation['event']): { readonly delegation: Delegation; readonly txn: string } => ({
  txn: 'txn-1',
  delegation: {
    event,
    from: { spiffe_id: 'spiffe://acme.example/planner', jti: 'j0' },
    to: { spiffe_id: 'spiffe://acme.example/researcher', jti: 'j1', key_thumbprint: 'k' },
    depth: 1,
    granted: { scopes: ['crm.contacts.read'], constraints: [{ key: 'host', one_of: ['api.crm.example'] }] },
  },
})

describe('while records cannot be written', () => {
  test('a right is not handed on', async () => {
    const refused = await journalOf(memory(broken).sink)
      .recordHandoff(handoff('delegation.created'))
      .catch((error: unknown) => error)
    expect(refused).toBeInstanceOf(Refusal)
    expect(refused).toMatchObject({ reason: 'records_unavailable', retryAfter: 5 })
  })

  test('unless the configuration prefers to drop records', async () => {
    await journalOf(memory(broken).sink, 'drop').recordHandoff(handoff('delegation.created'))
  })

  test('what takes a right away is done', async () => {
    await journalOf(memory(broken).sink).recordHandoff(handoff('delegation.denied'))
    await journalOf(memory(broken).sink).recordHandoff(handoff('delegation.revoked'))
  })

  test('a stop is not held up, and says that it is not written down', async () => {
    expect(
      await journalOf(memory(broken).sink).recordStop({ event: 'stop.ordered', what: { kind: 'all' }, by: { uid: 0 } }),
    ).toBe(false)
  })
})

test('a handoff waits until it is written down, a use does not', async () => {
  const { promise, resolve } = Promise.withResolvers<void>()
  const { sink, lines } = memory(() => promise)
  const journal = journalOf(sink)
  await journal.recordHandoff(handoff('delegation.used'))
  let handed = false
  const made = journal.recordHandoff(handoff('delegation.created')).then(() => {
    handed = true
  })
  await new Promise((turn) => setImmediate(turn))
  expect([handed, lines.length]).toEqual([false, 2])
  resolve()
  await made
})

describe('records of events', () => {
  const plain = (text: string) => text
  const written = async () => {
    const { sink, lines } = memory()
    const journal = journalOf(sink)
    await journal.recordHandoff(handoff('delegation.created'))
    await journal.recordStop({
      event: 'stop.ordered',
      what: { kind: 'agent', id: 'spiffe://acme.example/planner' },
      reason: 'it \u001b[31mran wild',
      by: { uid: 1000 },
    })
    lines.push({
      v: 1,
      time: '2026-01-01T00:00:00.000Z',
      id: 'a',
      kind: 'audit',
      audit: { event: 'torn', bytes: 3, hash: 'h' },
    })
    return lines
  }

  test('keep to the schema', async () => {
    for (const record of await written())
      expect(auditRecord.parse(JSON.parse(JSON.stringify(record)))).toMatchObject({ v: 1 })
  })

  test('have a row each, and nothing in them reaches the terminal as a command', async () => {
    const rows = (await written()).map((record) => table({ width: undefined, paint: plain }).row(record))
    expect(rows).toEqual([
      '1970-01-01T00:00:01.000Z  delegation.created spiffe://acme.example/planner → spiffe://acme.example/researcher with crm.contacts.read (txn txn-1)',
      expect.stringMatching(
        /^1970-01-01T00:00:01.000Z {2}stop.ordered agent spiffe:\/\/acme.example\/planner by uid 1000: it .*ran wild$/,
      ),
      '2026-01-01T00:00:00.000Z  a record was cut off here after 3 bytes, when an earlier process ended',
    ])
    expect(rows.join('')).not.toContain('\u001b')
  })

  test('can be filtered and told like others', async () => {
    const records = await written()
    expect(records.filter(filter({ agent: 'researcher' }))).toEqual([])
    for (const record of records) expect(explain(record, plain)[0]).toMatch(/^At \d{4}-\d\d-\d\d .*\.$/)
  })
})
