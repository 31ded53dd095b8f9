// When the SVID expires, as the metrics say it.
import { describe, expect, it } from 'vitest'
import { judgeExpiry } from '../../../cli/doctor/svid.ts'

const now = Date.parse('2026-01-01T00:00:00Z')
const metrics = (value: string) =>
  `# TYPE postern_svid_expiry_timestamp_seconds gauge\npostern_svid_expiry_timestamp_seconds ${value}\nprocess_open_fds 12\n`

describe('an SVID', () => {
  it.each([['0'], ['NaN'], [String(now / 1_000 - 1)], [String(now / 1_000)]])('is red at %s', (value) => {
    expect(judgeExpiry(metrics(value), now)).toMatchObject({ state: 'red', saw: expect.stringContaining('expired') })
  })

  it('is green before it expires, and says for how long', () => {
    expect(judgeExpiry(metrics(String(now / 1_000 + 3_600)), now)).toEqual({
      state: 'green',
      saw: 'Valid until 2026-01-01T01:00:00.000Z, 60 min.',
    })
    expect(judgeExpiry(metrics(String(now / 1_000 + 20.5)), now).saw).toContain('less than a minute')
  })

  it('is left out where the proxy has none to have', () => {
    expect(judgeExpiry('process_open_fds 12\n', now)).toMatchObject({ state: 'skipped' })
  })
})
