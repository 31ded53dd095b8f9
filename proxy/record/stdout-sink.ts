// Records to standard output, for whoever collects the output of a container.
import { lineSink, type SinkSurroundings } from './line-sink.ts'
import type { LineTarget, WriterLimits } from './line-writer.ts'
import type { RecordSink } from './sink.ts'

const standardOutput: LineTarget = {
  open: () => Promise.resolve({ fd: 1, identity: 'stdout', tail: 'unknown' }),
  identity: () => Promise.resolve('stdout'),
}

export function stdoutSink(surroundings: SinkSurroundings, limits?: WriterLimits): Promise<RecordSink> {
  return lineSink('stdout', standardOutput, surroundings, limits)
}
