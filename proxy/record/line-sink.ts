// A record as one line of JSON; the sinks for a file and for standard output differ in their target alone.
import { type AuditRecord, gapOf } from './line.ts'
import { type LineTarget, LineWriter, type WriterEvents, type WriterLimits, writerLimits } from './line-writer.ts'
import type { RecordSink } from './sink.ts'

/** What a sink is handed. */
export interface SinkSurroundings {
  /** Epoch milliseconds. */
  readonly now: () => number
  /** A time-ordered identifier. */
  readonly newId: (now: number) => string
  /** Told when writing fails, works again, or drops a record. */
  readonly events: WriterEvents
}

/** @throws when the target cannot be opened */
export async function lineSink(
  name: string,
  target: LineTarget,
  { now, newId, events }: SinkSurroundings,
  limits: WriterLimits = writerLimits,
): Promise<RecordSink> {
  const writer: LineWriter = await LineWriter.open(
    target,
    {
      failed: events.failed,
      dropped: events.dropped,
      recovered(lost) {
        // A hole in the records says so itself.
        if (lost > 0) writer.push(lineOf(gapOf(newId(now()), now(), lost)))
        events.recovered(lost)
      },
    },
    limits,
  )
  return {
    name,
    get healthy() {
      return writer.healthy
    },
    write: (record) => writer.push(lineOf(record)),
    commit: (record) => writer.commit(lineOf(record)),
    flush: () => writer.flush(),
    reopen: () => writer.reopen(),
    close: () => writer.close(),
  }
}

/** The canonical line, without its end: fields in the order of the schema, absent ones left out. */
export function lineOf(record: AuditRecord): string {
  return JSON.stringify(record)
}
