import { expect, test } from 'vitest'
import type { Report } from '../../../../proxy/record/audit/findings.ts'
import { readableReport } from '../../../../proxy/record/audit/report-text.ts'

const report: Report = {
  ok: false,
  files: ['a', 'b'],
  records: 20,
  trails: [{ first: 1, last: 20, head: 'HEAD', signed: { seq: 19, time: '2026-01-01T00:00:00.000Z' }, unsigned: 1 }],
  signers: [
    { spiffe_id: 'spiffe://acme.example/postern', key_thumbprint: 'K1', trust: 'claimed', checkpoints: 2 },
    { spiffe_id: 'spiffe://acme.example/postern', key_thumbprint: 'K2', trust: 'claimed', checkpoints: 3 },
    { key_thumbprint: 'K3', trust: 'ephemeral', checkpoints: 1 },
  ],
  findings: [
    {
      kind: 'altered',
      file: 'a\u001b[31m',
      line: 3,
      seq: 3,
      expected: 'X',
      found: 'Y',
      message: 'record 3 was altered',
    },
  ],
  more: 2,
  notes: [{ kind: 'torn', file: 'b', line: 9, message: 'the last line was cut off' }],
}

test('a report says what is wrong first, then what explains, how far it is signed, and by whom', () => {
  const told = readableReport(report, (text) => text)
  expect(told.join('\n')).not.toContain('\u001b')
  expect([told[0], ...told.slice(2)]).toEqual([
    '20 records in 2 files: 3 findings.',
    'and 2 more',
    'b line 9: the last line was cut off.',
    'Records 1 to 20: signed up to 19 at 2026-01-01T00:00:00.000Z; the record after it is only hashed. Head HEAD',
    '5 checkpoints signed by spiffe://acme.example/postern by its own word; --bundle would prove it (2 keys, the first K1).',
    '1 checkpoint signed without identity, which proves that one process wrote them and not which (key K3).',
  ])
  expect(told[1]).toMatch(/^ALTERED a.* line 3: record 3 was altered \(expected X, found Y\)\.$/)
})

test('a file that many commands share shows the last of its trails', () => {
  const trails = Array.from({ length: 30 }, (_, index) => ({ first: 1, last: index, head: 'H', unsigned: index }))
  const told = readableReport(
    { ...report, ok: true, findings: [], more: 0, notes: [], signers: [], trails },
    (text) => text,
  )
  expect(told).toHaveLength(12)
  expect(told.slice(0, 2)).toEqual(['20 records in 2 files: as written.', '30 trails; the last 10:'])
  expect(told.at(-1)).toBe('Records 1 to 29: no valid checkpoint; only hashed. Head H')
})
