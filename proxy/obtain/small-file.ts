// Reads a small text file: bounded, regular files only, one trailing newline trimmed.
import { constants } from 'node:fs'
import { open } from 'node:fs/promises'
import { Refusal } from '../refusal.ts'

/** Bytes. */
export const largestFile = 65_536

const utf8 = new TextDecoder('utf-8', { fatal: true })

/**
 * @returns the content, without one trailing line end (`\n` or `\r\n`), as editors and `echo` leave it
 * @throws Refusal `credential_unavailable` that names the path, never the content
 */
export async function readSmallFile(path: string): Promise<string> {
  const bytes = await readBytes(path)
  try {
    return utf8.decode(bytes).replace(/\r?\n$/, '')
  } catch {
    throw new Refusal('credential_unavailable', { detail: `${path} is not UTF-8 text` })
  }
}

async function readBytes(path: string): Promise<Uint8Array> {
  try {
    // Without O_NONBLOCK opening a FIFO would wait for a writer, and hold a thread.
    await using handle = await open(path, constants.O_RDONLY | constants.O_NONBLOCK)
    if (!(await handle.stat()).isFile())
      throw new Refusal('credential_unavailable', { detail: `${path} is not a regular file` })
    // Not of the size that `stat` tells: some file systems tell none.
    const buffer = Buffer.allocUnsafe(largestFile + 1)
    let length = 0
    while (length < buffer.length) {
      const { bytesRead } = await handle.read(buffer, length, buffer.length - length)
      if (bytesRead === 0) return buffer.subarray(0, length)
      length += bytesRead
    }
    throw new Refusal('credential_unavailable', { detail: `${path} is larger than ${largestFile} bytes` })
  } catch (error) {
    if (error instanceof Refusal) throw error
    const { code = 'unreadable' } = error as NodeJS.ErrnoException
    throw new Refusal('credential_unavailable', { detail: `${path}: ${code}`, cause: error })
  }
}
