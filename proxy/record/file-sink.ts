// Records into a file.
import { fileTarget } from './file-target.ts'
import { lineSink, type SinkSurroundings } from './line-sink.ts'
import type { WriterLimits } from './line-writer.ts'
import type { RecordSink } from './sink.ts'

/**
 * @param path made with mode 0600 where it is missing, its folders with 0700
 * @throws when it cannot be opened for appending, or others can write it
 */
export function fileSink(path: string, surroundings: SinkSurroundings, limits?: WriterLimits): Promise<RecordSink> {
  return lineSink(path, fileTarget(path), surroundings, limits)
}
