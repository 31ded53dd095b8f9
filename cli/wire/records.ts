// Where records go, and how fingerprints in them are keyed.
import { randomBytes } from 'node:crypto'
import { requestId } from '../../proxy/capture/request-id.ts'
import type { Config } from '../../proxy/config/schema.ts'
import { readReference } from '../../proxy/obtain/reference.ts'
import { fileSink } from '../../proxy/record/file-sink.ts'
import { fingerprinter } from '../../proxy/record/fingerprint.ts'
import type { RecordSink } from '../../proxy/record/sink.ts'
import { type Alarms, sinkEvents } from '../../proxy/record/sink-events.ts'
import { stdoutSink } from '../../proxy/record/stdout-sink.ts'
import type { Secret } from '../../proxy/secret.ts'

/** @throws when the file cannot be opened */
export function openSink(
  settings: Config['records'],
  alarms: Omit<Alarms, 'settings'>,
  now: () => number,
): Promise<RecordSink> {
  const surroundings = { now, newId: requestId, events: sinkEvents({ ...alarms, settings }) }
  return settings.to === 'stdout' ? stdoutSink(surroundings) : fileSink(settings.to, surroundings)
}

/** @throws Refusal when the key that the configuration refers to cannot be read or is too short */
export async function openFingerprints(
  { fingerprintKey }: Config['records'],
  environment: Readonly<Record<string, string | undefined>>,
): Promise<(secret: Secret) => string> {
  if (fingerprintKey === undefined) return fingerprinter(randomBytes(32))
  const key = Buffer.from(await readReference(fingerprintKey, { environment }))
  if (key.length < 32) throw new Error('records.fingerprintKey: a key has at least 32 characters')
  return fingerprinter(key)
}
