// The file that records are appended to: made for us alone, and followed when it is rotated.
import { close, constants, fstat, open, read } from 'node:fs'
import { mkdir, stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import { promisify } from 'node:util'
import { eachWriteLasts } from '../lasting.ts'
import type { LineTarget, Opened } from './line-writer.ts'

const openFile = promisify(open)
const statFile = promisify(fstat)
const readFile = promisify(read)
const closeFile = promisify(close)

// Reading too: the last byte tells whether a line was torn there.
const flags = constants.O_APPEND | constants.O_CREAT | constants.O_RDWR | constants.O_NOCTTY | eachWriteLasts

/** @param path is made with mode 0600, folders that are missing with 0700 */
export function fileTarget(path: string): LineTarget {
  return {
    async open() {
      await mkdir(dirname(path), { recursive: true, mode: 0o700 })
      const fd = await openFile(path, flags, 0o600)
      try {
        return await inspect(fd, path)
      } catch (error) {
        await closeFile(fd)
        throw error
      }
    },
    async identity() {
      try {
        return identityOf(await stat(path))
      } catch {
        return undefined
      }
    },
  }
}

async function inspect(fd: number, path: string): Promise<Opened> {
  const status = await statFile(fd)
  const identity = identityOf(status)
  if (!status.isFile()) return { fd, identity, tail: 'unknown' }
  // What others can write proves nothing.
  if ((status.mode & 0o022) !== 0) {
    throw new Error(`${path} can be written by others than its owner; run chmod go-w on it`)
  }
  if (status.size === 0) return { fd, identity, tail: 'line_end' }
  const last = Buffer.alloc(1)
  await readFile(fd, last, 0, 1, status.size - 1)
  return { fd, identity, tail: last[0] === 0x0a ? 'line_end' : 'inside_line' }
}

const identityOf = ({ dev, ino }: { dev: number; ino: number }) => `${dev}:${ino}`
