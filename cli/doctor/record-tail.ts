// What is written to a file of records from now on. It is opened at once, so that whoever opened it can become somebody who may not.
import { type FileHandle, open } from 'node:fs/promises'
import { setTimeout as delay } from 'node:timers/promises'
import type { AuditRecord } from '../../proxy/record/line.ts'
import { parseRecord } from '../../proxy/record/reader.ts'

const chunk = 65_536
/** Milliseconds between looks. */
const interval = 50

export class RecordTail {
  readonly path: string
  readonly #file: FileHandle
  readonly #start: number

  private constructor(path: string, file: FileHandle, start: number) {
    this.path = path
    this.#file = file
    this.#start = start
  }

  /**
   * @param whole also what is there already
   * @throws when the file cannot be opened
   */
  static async open(path: string, whole: boolean): Promise<RecordTail> {
    const file = await open(path, 'r')
    return new RecordTail(path, file, whole ? 0 : (await file.stat()).size)
  }

  /** The record of a request, once it is there: not the intent before it. Undefined when it has not come until then. */
  async find(id: string, signal: AbortSignal): Promise<AuditRecord | undefined> {
    let at = this.#start
    let rest = ''
    const buffer = Buffer.alloc(chunk)
    while (!signal.aborted) {
      const { bytesRead } = await this.#file.read(buffer, 0, chunk, at)
      at += bytesRead
      const lines = (rest + buffer.toString('latin1', 0, bytesRead)).split('\n')
      rest = lines.pop() ?? ''
      for (const line of lines) {
        if (!line.includes(id)) continue
        const record = parseRecord(Buffer.from(line, 'latin1').toString('utf8'))
        if (record?.id === id && record.kind !== 'intent') return record
      }
      if (bytesRead === 0) await delay(interval, undefined, { signal }).catch(() => {})
    }
    return undefined
  }

  close(): Promise<void> {
    return this.#file.close()
  }
}
