// Makes what was written outlast a loss of power, also where Node's permission model forbids that.
import { constants } from 'node:fs'
import type { FileHandle } from 'node:fs/promises'
import { nativeCalls } from './identify/kernel/native.ts'

/** Under its permission model Node refuses fsync(2) and fdatasync(2) to every process, whatever that may write. */
const isForbidden = process.permission !== undefined

/**
 * A flag for files that requests wait for (O_DSYNC, open(2)): each write then waits for the disk, in a thread of libuv.
 * 0 where the disk can be waited for afterwards.
 */
export const eachWriteLasts = isForbidden ? constants.O_DSYNC : 0

/**
 * For a file or folder that is written now and then. Where Node forbids it, the C library is asked, and everything else
 * waits as long as the disk takes.
 * @throws when the disk did not take it
 */
export async function makeLasting(handle: FileHandle): Promise<void> {
  if (!isForbidden) return handle.sync()
  if (nativeCalls()?.sync(handle.fd) !== true) throw new Error('the disk did not take it')
}
