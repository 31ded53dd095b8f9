// Where records go, and how fingerprints in them are keyed.
import { randomBytes } from 'node:crypto'
import { requestId } from '../../proxy/capture/request-id.ts'
import type { Config } from '../../proxy/config/schema.ts'
import { readReference } from '../../proxy/obtain/reference.ts'
import type { Trail } from '../../proxy/record/audit/trail.ts'
import { lockForWriting } from '../../proxy/record/audit/writer-lock.ts'
import { fileSink } from '../../proxy/record/file-sink.ts'
import { fingerprinter } from '../../proxy/record/fingerprint.ts'
import { OtlpCopy } from '../../proxy/record/otlp.ts'
import type { RecordSink } from '../../proxy/record/sink.ts'
import { type Alarms, sinkEvents } from '../../proxy/record/sink-events.ts'
import { stdoutSink } from '../../proxy/record/stdout-sink.ts'
import type { Secret } from '../../proxy/secret.ts'
import { version } from '../version.ts'
import { openTrail, type TrailSurroundings } from './trail.ts'

export interface RecordsSurroundings extends Omit<TrailSurroundings, 'copy' | 'failed'> {
  readonly alarms: Omit<Alarms, 'settings'>
  readonly environment: Readonly<Record<string, string | undefined>>
}

/** Where records go, tied together and signed. */
export interface Records {
  readonly sink: RecordSink
  readonly trail: Trail
  /** Signs what there is; to be called while the identity is still there. */
  seal(): void
  close(): Promise<void>
}

/**
 * @throws when the file cannot be opened, or another process writes it
 * @throws Refusal when a header for the collector cannot be read
 */
export async function openRecords(settings: Config['records'], surroundings: RecordsSurroundings): Promise<Records> {
  const { alarms, now, environment, shared } = surroundings
  const lock = settings.to === 'stdout' || shared ? undefined : await lockForWriting(settings.to)
  try {
    const copy = await openCopy(settings, alarms, environment)
    const { trail, first } = await openTrail(settings, {
      ...surroundings,
      copy: copy && ((line) => copy.take(line)),
      failed: (error) => alarms.log.warn({ err: error }, 'a checkpoint of the records could not be signed'),
    })
    const sinkSurroundings = {
      now,
      newId: requestId,
      events: sinkEvents({ ...alarms, settings }),
      seal: trail.seal,
    }
    const sink = await (settings.to === 'stdout'
      ? stdoutSink(sinkSurroundings)
      : fileSink(settings.to, sinkSurroundings))
    trail.attach(sink)
    for (const record of first) sink.write(record)
    return {
      sink,
      trail,
      seal: () => trail.checkpoint(),
      async close() {
        trail.close()
        await sink.close()
        await copy?.close()
        await lock?.release()
      },
    }
  } catch (error) {
    await lock?.release()
    throw error
  }
}

async function openCopy(
  { otlp }: Config['records'],
  { log, metrics }: Omit<Alarms, 'settings'>,
  environment: Readonly<Record<string, string | undefined>>,
): Promise<OtlpCopy | undefined> {
  if (otlp === undefined) return undefined
  const { endpoint } = otlp
  const headers = await Promise.all(
    Object.entries(otlp.headers).map(
      async ([name, reference]) => [name, await readReference(reference, { environment })] as const,
    ),
  )
  metrics.copyHealthy.set(1)
  return new OtlpCopy({
    endpoint,
    headers: Object.fromEntries(headers),
    version,
    events: {
      failed(error) {
        metrics.copyHealthy.set(0)
        log.error(
          { err: error, endpoint },
          'the collector does not take records; copies wait, and are dropped when too many do',
        )
      },
      recovered(dropped) {
        metrics.copyHealthy.set(1)
        log.warn({ endpoint, dropped }, 'the collector takes records again')
      },
      dropped: (count) => metrics.copyDropped.add(count),
    },
  })
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
