// Listens on a UNIX socket that only the intended users can reach and nobody can replace.
import { chmod, lstat, mkdir, unlink } from 'node:fs/promises'
import { connect, type Server } from 'node:net'
import { dirname } from 'node:path'

/**
 * @param path its folder is made with mode 0700 where it is missing
 * @param mode of the socket
 * @throws when the socket is in use, or others could replace it
 */
export async function listenPrivately(server: Server, path: string, mode: number): Promise<void> {
  await mkdir(dirname(path), { recursive: true, mode: 0o700 })
  await refuseOpenFolder(dirname(path))
  await removeStale(path)
  await listen(server, path)
  await chmod(path, mode)
}

/** Whoever can write the folder can put a socket of his own in our place, and answer as if he were us. */
async function refuseOpenFolder(folder: string): Promise<void> {
  const { mode, uid } = await lstat(folder)
  if (uid !== 0 && uid !== process.getuid?.()) throw new Error(`${folder} belongs to another user (uid ${uid})`)
  if ((mode & 0o022) !== 0) throw new Error(`${folder} can be written by others; run chmod go-w on it`)
}

/** A socket that nobody answers on is what a killed process left behind. */
async function removeStale(path: string): Promise<void> {
  const found = await lstat(path).catch(() => undefined)
  if (found === undefined) return
  if (!found.isSocket()) throw new Error(`${path} is there already and is not a socket`)
  if (await answers(path)) throw new Error(`another process answers on ${path}`)
  await unlink(path)
}

function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path)
    socket.once('connect', () => {
      socket.destroy()
      resolve(true)
    })
    socket.once('error', () => resolve(false))
  })
}

function listen(server: Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    // The socket is made within the call, so that it is never there for others before its mode is set.
    const before = process.umask(0o177)
    try {
      server.listen(path, () => {
        server.off('error', reject)
        resolve()
      })
    } finally {
      process.umask(before)
    }
  })
}
