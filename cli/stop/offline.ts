// Stops while no proxy runs: read from the file, and written into it, so that they hold from the next start.
import { randomBytes } from 'node:crypto'
import { chown, stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { Stop } from '../../policy/stop/stop.ts'
import { type Order, stopOf } from '../../proxy/stop/order.ts'
import { StopFile } from '../../proxy/stop/stop-file.ts'
import { type Entry, readLines } from '../../proxy/stop/stop-lines.ts'
import { CommandError, exit } from '../exit.ts'

const by = () => `uid ${process.getuid?.() ?? 0}`

/** @throws CommandError when it could not be written */
export async function writeOrder(file: string, order: Order): Promise<Stop> {
  const stop = stopOf(order, `stop-${randomBytes(5).toString('hex')}`, Date.now(), by())
  await write(file, { order: stop })
  return stop
}

/** @throws CommandError when it could not be written */
export async function writeLift(file: string, id: string): Promise<void> {
  await write(file, { lift: { id, at: Date.now(), by: by() } })
}

/** @throws CommandError when the file cannot be read */
export async function readStops(file: string): Promise<readonly Stop[]> {
  return await attempt(async () => (await readLines(file, Date.now())).live)
}

async function write(path: string, entry: Entry): Promise<void> {
  await attempt(async () => {
    const live: Entry[] = []
    // A problem with writing comes back from `append`.
    const options = { path, now: Date.now, inForce: () => live, onProblem: () => {} }
    const { file, read } = await StopFile.open(options)
    live.push(...read.live.map((order) => ({ order })))
    try {
      await file.append(entry)
    } finally {
      await file.close()
    }
    // What root writes is for the proxy to read, which runs as the owner of the folder.
    if (process.getuid?.() !== 0) return
    const { uid, gid } = await stat(dirname(path))
    await chown(path, uid, gid)
  })
}

async function attempt<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    throw new CommandError(exit.unavailable, error instanceof Error ? error.message : String(error))
  }
}
