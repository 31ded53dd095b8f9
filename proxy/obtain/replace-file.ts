// Replaces a file as a whole, readable by its owner alone; whoever reads it sees the old content or the new.
import { randomUUID } from 'node:crypto'
import { open, realpath, rename, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { makeLasting } from '../lasting.ts'
import { Refusal } from '../refusal.ts'

export interface Replacement extends AsyncDisposable {
  /** Writes the content, makes it durable, and puts it in the place of the file. Once. */
  commit(content: string): Promise<void>
}

/**
 * Makes the new file, still empty, beside the old one. Disposal takes it away unless it was committed.
 * @throws Refusal `credential_unavailable` when nothing can be written there
 */
export async function prepareReplacement(path: string): Promise<Replacement> {
  const { target, temporary, handle } = await attempt(path, async () => {
    // A symlink stays one: what it leads to is replaced.
    const target = await realpath(path)
    const temporary = join(dirname(target), `.postern-${randomUUID()}`)
    return { target, temporary, handle: await open(temporary, 'wx', 0o600) }
  })
  return {
    commit: (content) =>
      attempt(path, async () => {
        await handle.writeFile(content)
        await makeLasting(handle)
        await rename(temporary, target)
        await syncFolder(dirname(target))
      }),
    async [Symbol.asyncDispose]() {
      await handle.close()
      await rm(temporary, { force: true })
    },
  }
}

/** A rename is only lasting when the folder is. */
async function syncFolder(path: string): Promise<void> {
  await using folder = await open(path, 'r')
  await makeLasting(folder)
}

async function attempt<T>(path: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    const { code = 'failed' } = error as NodeJS.ErrnoException
    throw new Refusal('credential_unavailable', { detail: `${path} cannot be replaced: ${code}`, cause: error })
  }
}

/** The last work on each path; one process writes to a file in turn, whichever credential it belongs to. */
const turns = new Map<string, Promise<unknown>>()

/** Does `work` after all earlier work on the same path has ended. */
export async function inTurn<T>(path: string, work: () => Promise<T>): Promise<T> {
  const turn = (turns.get(path) ?? Promise.resolve()).then(work, work)
  turns.set(path, turn)
  try {
    return await turn
  } finally {
    if (turns.get(path) === turn) turns.delete(path)
  }
}
