// One process at a time writes a trail into a file: whoever does answers on a socket beside it, which ends with the process however it ends.
import { lstat, mkdir, unlink } from 'node:fs/promises'
import { connect, createServer, type Server } from 'node:net'
import { basename, dirname, join } from 'node:path'

export interface WriterLock {
  release(): Promise<void>
}

export class FileTaken extends Error {
  override readonly name = 'FileTaken'
}

/** What a file system answers that holds no sockets, or under a path too long for one. Two writers are then told by verification alone. */
const impossible = new Set(['ENAMETOOLONG', 'EINVAL', 'ENOTSUP', 'EOPNOTSUPP', 'EPERM', 'EACCES', 'EROFS', 'ENOSPC'])

/**
 * @returns undefined where no socket can be made
 * @throws FileTaken when another process writes this file
 */
export async function lockForWriting(path: string): Promise<WriterLock | undefined> {
  // Hidden, so that patterns for the files of records do not mean it.
  const place = join(dirname(path), `.${basename(path)}.lock`)
  // A device has no trail to go on with.
  const status = await lstat(path).catch(() => undefined)
  if (status !== undefined && !status.isFile() && !status.isSymbolicLink()) return undefined
  await mkdir(dirname(path), { recursive: true, mode: 0o700 })
  const server = createServer((socket) => socket.destroy())
  server.unref()
  try {
    await listen(server, place)
  } catch (error) {
    const { code = '' } = error as NodeJS.ErrnoException
    if (impossible.has(code)) return undefined
    if (code !== 'EADDRINUSE') throw error
    await refuseTaken(path, place)
    await listen(server, place)
  }
  return { release: () => new Promise((resolve) => server.close(() => resolve())) }
}

/** Takes away what a killed process left behind. */
async function refuseTaken(path: string, place: string): Promise<void> {
  if (!(await lstat(place)).isSocket()) throw new FileTaken(`${place} is in the way: it is no lock of ours`)
  if (await answers(place)) throw new FileTaken(`another process writes its records into ${path}`)
  await unlink(place)
}

function answers(place: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(place)
    socket.once('connect', () => {
      socket.destroy()
      resolve(true)
    })
    // One that may not be asked belongs to somebody.
    socket.once('error', (error: NodeJS.ErrnoException) => resolve(error.code === 'EACCES' || error.code === 'EAGAIN'))
  })
}

function listen(server: Server, place: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(place, () => {
      server.off('error', reject)
      resolve()
    })
  })
}
