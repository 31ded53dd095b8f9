// Opens the trail of the records: where it goes on, who signs it, and who else gets its lines.
import { randomBytes } from 'node:crypto'
import type { IdentitySettings } from '../../certs/settings.ts'
import type { SvidSource, X509Svid } from '../../certs/source.ts'
import { requestId } from '../../proxy/capture/request-id.ts'
import type { Config } from '../../proxy/config/schema.ts'
import { ephemeralSigner, svidSigner } from '../../proxy/record/audit/signature.ts'
import { readTail, type Tail } from '../../proxy/record/audit/tail.ts'
import { firstLine, Trail } from '../../proxy/record/audit/trail.ts'
import type { AuditRecord } from '../../proxy/record/line.ts'

export interface TrailSurroundings {
  readonly now: () => number
  /** Other processes write into the same file, so that this one has a trail of its own in it. */
  readonly shared: boolean
  /** The identity that signs; undefined: there is none. */
  readonly svids: Pick<SvidSource, 'svid'> | undefined
  readonly copy?: ((line: string) => void) | undefined
  readonly failed: (error: unknown) => void
}

export interface OpenedTrail {
  readonly trail: Trail
  /** To be written before anything else. */
  readonly first: readonly AuditRecord[]
}

/** @throws when the file is there and cannot be read */
export async function openTrail(
  { to, checkpoint }: Config['records'],
  { now, shared, svids, copy, failed }: TrailSurroundings,
): Promise<OpenedTrail> {
  const { start, torn, mismatch }: Tail = to === 'stdout' ? {} : await readTail(to)
  const goesOn = shared ? undefined : start
  const trail = new Trail({
    start: goesOn ?? firstLine(randomBytes(16).toString('base64url')),
    shared,
    checkpoint,
    signer: svids === undefined ? ephemeralSigner() : svidSigner(svids),
    now,
    newId: requestId,
    copy,
    failed,
  })
  const first: AuditRecord[] = []
  const found = (audit: AuditRecord['audit']) =>
    first.push({ v: 1, time: new Date(now()).toISOString(), id: requestId(now()), kind: 'audit', audit })
  if (torn !== undefined) found({ event: 'torn', ...torn })
  if (goesOn !== undefined && mismatch !== undefined) found({ event: 'mismatch', at_seq: mismatch })
  return { trail, first }
}

/** Whether this configuration is meant to give an SVID of our own. */
export function hasOwn(settings: IdentitySettings): boolean {
  return settings.source !== 'files' || settings.certificate !== undefined
}

/** The identity is opened after the records. */
export class LateSource implements Pick<SvidSource, 'svid'> {
  #source: SvidSource | undefined

  open(source: SvidSource): void {
    this.#source = source
  }

  svid(): X509Svid {
    if (this.#source === undefined) throw new Error('there is no identity yet')
    return this.#source.svid()
  }
}
