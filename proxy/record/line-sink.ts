// A record as one line of JSON; the sinks for a file and for standard output differ in their target alone.
import { gapOf } from './line.ts'
import { lineOf } from './line-text.ts'
import { type LineTarget, LineWriter, type WriterLimits, writerLimits } from './line-writer.ts'
import type { RecordSink } from './sink.ts'

/** Who hears of a sink's health. */
export interface SinkEvents {
  /** From here on nothing is written, or not all. Called once for each trouble. */
  failed(error: Error): void
  /** Writing works again; so many records were dropped meanwhile. */
  recovered(lost: number): void
  dropped(): void
}

/** What a sink is handed. */
export interface SinkSurroundings {
  /** Epoch milliseconds. */
  readonly now: () => number
  /** A time-ordered identifier. */
  readonly newId: (now: number) => string
  readonly events: SinkEvents
  /** Ties each line to the one before, right before it is written. */
  readonly seal?: ((line: string) => string) | undefined
}

/** @throws when the target cannot be opened */
export async function lineSink(
  name: string,
  target: LineTarget,
  { now, newId, events, seal }: SinkSurroundings,
  limits: WriterLimits = writerLimits,
): Promise<RecordSink> {
  const writer = await LineWriter.open(
    target,
    {
      failed: (error) => events.failed(error),
      dropped: () => events.dropped(),
      seal,
      recovered(lost) {
        events.recovered(lost)
        // A hole in the records says so itself.
        return lost === 0 ? undefined : lineOf(gapOf(newId(now()), now(), lost))
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
