// The records of the demo.
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { stripVTControlCharacters } from 'node:util'
import { drawChain } from '../../proxy/record/chain-text.ts'
import type { ChainTree } from '../../proxy/record/chain-tree.ts'
import { explain } from '../../proxy/record/explain.ts'
import type { AuditRecord } from '../../proxy/record/line.ts'
import { table } from '../../proxy/record/table.ts'
import { paintFor } from '../../proxy/record/terminal-text.ts'
import type { Postern } from './postern.ts'

export const recordsFile = 'records.jsonl'

/** Reads the records as they are written. */
export class RecordReader {
  readonly #path: string
  #seen = 0

  /** @param directory of the demo */
  constructor(directory: string) {
    this.#path = join(directory, recordsFile)
  }

  /** Waits for the record after the one that this gave last, checkpoints left out. @throws when none is written within 10 s */
  async next(): Promise<AuditRecord> {
    const record = await this.#wait((records) => records[this.#seen])
    this.#seen += 1
    return record
  }

  /** Waits for the first such record. @throws when none is written within 10 s */
  async find(wanted: (record: AuditRecord) => boolean): Promise<AuditRecord> {
    return await this.#wait((records) => records.find(wanted))
  }

  async #wait(pick: (records: readonly AuditRecord[]) => AuditRecord | undefined): Promise<AuditRecord> {
    for (const started = performance.now(); performance.now() - started < 10_000; await pause(10)) {
      const text = await readFile(this.#path, 'utf8').catch(() => '')
      // What stands after the last line feed is being written yet.
      const lines = text.split('\n').slice(0, -1)
      const records = lines.map((line): AuditRecord => JSON.parse(line))
      const found = pick(records.filter(({ kind }) => kind !== 'checkpoint'))
      if (found !== undefined) return found
    }
    throw new Error('what happened was not recorded')
  }
}

/** All records but checkpoints, the way a person gets at them: by `postern logs`. */
export async function readWithLogs(postern: Postern): Promise<AuditRecord[]> {
  const text = await postern.read(['logs', recordsFile, '--json'])
  const lines = text.split('\n').filter((line) => line !== '')
  return lines.map((line): AuditRecord => JSON.parse(line)).filter(({ kind }) => kind !== 'checkpoint')
}

/** What `postern logs` shows on a terminal of at most 100 columns, which a pipe or a picture need not be. */
export function asTable(records: readonly AuditRecord[]): string[] {
  const { heading, row } = table({ width: width(), paint: paint() })
  return [heading, ...records.flatMap((record) => row(record) ?? [])]
}

/** What `postern logs --chain` draws there. */
export function asTree(tree: ChainTree): string[] {
  return drawChain(tree, { width: width(), paint: paint() })
}

/** What `postern why` tells, in lines of at most 100 columns. */
export function asExplanation(record: AuditRecord): string[] {
  return explain(record, paint()).flatMap((line) => wrap(line, width()))
}

const width = (): number => Math.min(100, process.stdout.columns ?? 100)
const paint = () => paintFor(process.stdout.isTTY === true, process.env.NO_COLOR)

/** Breaks between words; what goes on in the next line stands under what was said, right of the label. */
function wrap(line: string, columns: number): string[] {
  const indent = /^\w+ {2,}/.exec(stripVTControlCharacters(line))?.[0].length ?? 0
  const lines: string[] = []
  let current = ''
  for (const word of line.split(/(?<= )(?=[^ ])/)) {
    if (stripVTControlCharacters(current + word).trimEnd().length <= columns) current += word
    else {
      lines.push(current.trimEnd())
      current = ' '.repeat(indent) + word
    }
  }
  return [...lines, current.trimEnd()]
}
