// A checkpoint: a record that says how far the trail has come, signed.
import * as z from 'zod'
import type { AuditRecord } from '../line.ts'
import type { CheckpointSigner, SignedBy } from './signature.ts'

/** What is signed. The whole line of a checkpoint follows from it, so that no byte of the line can change unnoticed. */
export const checkpointPayload = z.strictObject({
  id: z.string(),
  time: z.iso.datetime({ precision: 3 }),
  seq: z.int().min(1),
  head: z.string(),
  count: z.int().min(1),
  spiffe_id: z.string().optional(),
  key_thumbprint: z.string(),
})

export type CheckpointPayload = z.infer<typeof checkpointPayload>
export type Progress = Omit<CheckpointPayload, keyof SignedBy>

/** @throws when there is no key to sign with now */
export function checkpointOf(progress: Progress, signer: CheckpointSigner): AuditRecord {
  const { by, sign } = signer()
  const payload = { ...progress, ...by }
  return checkpointRecord(payload, sign(JSON.stringify(payload)))
}

/** The record of what was signed: the same bytes from the same payload. */
export function checkpointRecord(payload: CheckpointPayload, jws: string): AuditRecord {
  const { id, time, seq, head, count, spiffe_id, key_thumbprint } = payload
  return { v: 1, time, id, kind: 'checkpoint', checkpoint: { seq, head, count, spiffe_id, key_thumbprint, jws } }
}
