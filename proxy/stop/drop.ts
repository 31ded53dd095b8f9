// A folder in which each file is an order to stop: it holds while the file is there.
import { constants, open, readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { parse } from 'yaml'
import type { Stop } from '../../policy/stop/stop.ts'
import { Folder } from './folder.ts'
import { faultsOf, orderSchema, stopOf } from './order.ts'

export interface DropOptions {
  readonly path: string
  /** Told what changed at one look: orders in place of those with the same id, and the ids of those whose file is gone. */
  readonly onChange: (ordered: readonly Stop[], gone: readonly string[]) => void
  /** Told once of each file that is no order (yet). */
  readonly onProblem: (problem: Error) => void
}

/** Bytes. */
export const largestOrder = 65_536

const isOrder = (name: string) => /\.(json|ya?ml)$/.test(name) && !name.startsWith('.')

export const dropId = (name: string) => `drop:${encodeURIComponent(name)}`

interface Seen {
  /** Of the file as it was looked at. */
  readonly version: string
  /** What of it is in force; a file that was an order once stays it until it is another one, or gone. */
  readonly id: string | undefined
}

export class DropFolder {
  readonly #options: DropOptions
  #seen: ReadonlyMap<string, Seen> = new Map()
  #unreadable = false
  #folder: Folder | undefined

  /** @throws when the folder cannot be read: what is to be stopped would not be known */
  static async open(options: DropOptions): Promise<DropFolder> {
    const drop = new DropFolder(options)
    await drop.#look()
    drop.#folder = new Folder(options.path, () => drop.#lookAgain())
    // It may have changed after it was looked at and before it was watched.
    await drop.#lookAgain()
    return drop
  }

  private constructor(options: DropOptions) {
    this.#options = options
  }

  async close(): Promise<void> {
    await this.#folder?.close()
  }

  /** A folder that is gone for a while takes no order back. */
  async #lookAgain(): Promise<void> {
    try {
      await this.#look()
      this.#unreadable = false
    } catch (cause) {
      if (!this.#unreadable) {
        this.#options.onProblem(new Error(`${this.#options.path} cannot be read: ${messageOf(cause)}`, { cause }))
      }
      this.#unreadable = true
    }
  }

  async #look(): Promise<void> {
    const { path, onChange } = this.#options
    const names = (await readdir(path)).filter(isOrder).sort()
    const seen = new Map<string, Seen>()
    const ordered: Stop[] = []
    for (const name of names) {
      const looked = await this.#file(name)
      if (looked === undefined) continue
      seen.set(name, looked.seen)
      if (looked.stop !== undefined) ordered.push(looked.stop)
    }
    const gone = [...this.#seen].flatMap(([name, { id }]) => (id === undefined || seen.has(name) ? [] : [id]))
    this.#seen = seen
    if (ordered.length > 0 || gone.length > 0) onChange(ordered, gone)
  }

  /** @returns undefined when the file is gone */
  async #file(name: string): Promise<{ readonly seen: Seen; readonly stop?: Stop } | undefined> {
    const path = join(this.#options.path, name)
    const before = this.#seen.get(name)
    let version = 'unreadable'
    try {
      const found = await stat(path, { bigint: true })
      version = `${found.dev}:${found.ino}:${found.size}:${found.mtimeNs}`
      if (version === before?.version) return { seen: before }
      const order = orderSchema.safeParse(parse(await readSmall(path)))
      if (!order.success) throw new Error(faultsOf(order.error))
      const stop = stopOf(order.data, dropId(name), Number(found.mtimeMs), `file ${encodeURIComponent(name)}`)
      return { seen: { version, id: stop.id }, stop }
    } catch (cause) {
      if (cause instanceof Error && 'code' in cause && cause.code === 'ENOENT') return undefined
      if (version !== before?.version) {
        const still = before?.id === undefined ? 'it stops nothing' : 'what it ordered before stays'
        this.#options.onProblem(new Error(`${path} is no order, so ${still}: ${messageOf(cause)}`, { cause }))
      }
      return { seen: { version, id: before?.id } }
    }
  }
}

async function readSmall(path: string): Promise<string> {
  // Without O_NONBLOCK opening a FIFO would wait for a writer.
  await using handle = await open(path, constants.O_RDONLY | constants.O_NONBLOCK)
  const found = await handle.stat()
  if (!found.isFile()) throw new Error('it is not a regular file')
  if (found.size > largestOrder) throw new Error(`it is larger than ${largestOrder} bytes`)
  return await handle.readFile('utf8')
}

const messageOf = (error: unknown) => (error instanceof Error ? (error.message.split('\n')[0] ?? '') : String(error))
