// Trails as a process writes them, kept in memory as lines.
import { type CheckpointSigner, ephemeralSigner } from '../../../../proxy/record/audit/signature.ts'
import { firstLine, Trail, type TrailStart } from '../../../../proxy/record/audit/trail.ts'
import { type AuditRecord, gapOf } from '../../../../proxy/record/line.ts'
import { lineOf } from '../../../../proxy/record/line-text.ts'

export const aTrailId = 'AAAAAAAAAAAAAAAAAAAAAA'

export interface WrittenTrail {
  readonly trail: Trail
  readonly lines: string[]
  write(record: AuditRecord): void
}

interface Parts {
  readonly start?: TrailStart
  readonly shared?: boolean
  readonly signer?: CheckpointSigner
  readonly every?: number
  /** Milliseconds. */
  readonly after?: number
  readonly now?: () => number
  readonly failed?: (error: unknown) => void
}

export function aTrail({
  start = firstLine(aTrailId),
  shared = false,
  signer = ephemeralSigner(),
  every = 1_000_000,
  after = 86_400_000,
  now = () => 1_800_000_000_000,
  failed = (error) => {
    throw error
  },
}: Parts = {}): WrittenTrail {
  const lines: string[] = []
  let ids = 0
  const trail = new Trail({
    start,
    shared,
    checkpoint: { records: every, every: after },
    signer,
    now,
    newId: () => `id-${++ids}`,
    failed,
  })
  const write = (record: AuditRecord) => void lines.push(trail.seal(lineOf(record)))
  trail.attach({ healthy: true, write })
  return { trail, lines, write }
}

export const aRecord = (number: number): AuditRecord => ({
  ...gapOf(`record-${number}`, 1_700_000_000_000 + number, number),
  listener: 'é"\\,"seq":1',
})

/** Records, with a checkpoint at the end. */
export function signedLines(count: number, parts: Parts = {}): string[] {
  const written = aTrail(parts)
  for (let number = 1; number <= count; number += 1) written.write(aRecord(number))
  written.trail.close()
  return written.lines
}
