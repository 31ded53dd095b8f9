// Reads the records that a proxy has written.
import { readFile } from 'node:fs/promises'
import type { AuditRecord } from '../../proxy/record/line.ts'

/** Every whole line of the file but the checkpoints, whose number depends on the clock; none when there is no such file yet. */
export async function recordsIn(file: string): Promise<readonly AuditRecord[]> {
  const text = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return ''
    throw error
  })
  return text
    .slice(0, text.lastIndexOf('\n') + 1)
    .split('\n')
    .filter(Boolean)
    .map((line): AuditRecord => JSON.parse(line))
    .filter(({ kind }) => kind !== 'checkpoint')
}
