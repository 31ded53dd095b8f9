// The file in which orders are written down: append-only, one line an order or lift, on the disk before it is acknowledged.
import { constants, type FileHandle, mkdir, open, rename, rm, stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import { makeLasting } from '../lasting.ts'
import { type Entry, parseLines, readLines, type StopsRead, toLine } from './stop-lines.ts'

export interface StopFileOptions {
  readonly path: string
  /** Epoch milliseconds. */
  readonly now: () => number
  /** What the file should hold, for when somebody has taken it away. */
  readonly inForce: () => readonly Entry[]
  readonly onProblem: (problem: Error) => void
}

/** Milliseconds until what could not be written is tried again. */
export const retryAfter = 1_000
/** At start a file is made anew when so many of its lines, and more than half of them, mean nothing any more. */
export const manyDead = 64

interface Waiting {
  readonly line: string
  resolve(): void
  reject(problem: Error): void
}

const flags = constants.O_APPEND | constants.O_CREAT | constants.O_RDWR | constants.O_NOCTTY

export class StopFile {
  readonly #options: StopFileOptions
  #handle: FileHandle | undefined
  #identity = ''
  /** Bytes that were read or written by us, from the start without a gap. */
  #known: number
  /** In the order in which they must stand in the file. */
  #waiting: Waiting[] = []
  #writing: Promise<void> | undefined
  #retry: NodeJS.Timeout | undefined
  #closed = false

  /**
   * Reads what holds, mends a torn end, and makes the file anew where most of it has lapsed.
   * @throws Error that names the line, when one cannot be read; or says why the file cannot be trusted
   */
  static async open(options: StopFileOptions): Promise<{ readonly file: StopFile; readonly read: StopsRead }> {
    const { path, now, onProblem } = options
    const read = await readLines(path, now())
    const file = new StopFile(options, read.length)
    try {
      if (read.dead >= manyDead && read.dead > read.live.length) await file.#compact(read)
      else if (read.tail !== 'none') await file.#mend(read)
      await file.#reach()
    } catch (cause) {
      // What holds is known; a full or read-only disk must not keep anybody from stopping.
      onProblem(new Error(`${path} cannot be written: ${reasonOf(cause)}`, { cause }))
    }
    return { file, read }
  }

  private constructor(options: StopFileOptions, known: number) {
    this.#options = options
    this.#known = known
  }

  /** Orders and lifts that are not on the disk yet. */
  get unwritten(): number {
    return this.#waiting.length
  }

  /**
   * Resolves when the line is on the disk.
   * Rejects when it could not be written now; it is tried again until it is.
   */
  append(entry: Entry): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ line: toLine(entry), resolve, reject })
      void this.#write()
    })
  }

  /** What others have written since; those of ours are not among it, unless somebody replaced the file. */
  async foreign(): Promise<readonly Entry[]> {
    await this.#writing
    const { path, onProblem } = this.#options
    const found = await stat(path).catch(() => undefined)
    if (found === undefined || this.#closed) return []
    if (identityOf(found) !== this.#identity || found.size < this.#known) {
      await this.#release()
      this.#known = 0
      this.#identity = identityOf(found)
    }
    if (found.size <= this.#known) return []
    await using handle = await open(path, constants.O_RDONLY | constants.O_NONBLOCK)
    const bytes = Buffer.alloc(found.size - this.#known)
    const { bytesRead } = await handle.read(bytes, 0, bytes.length, this.#known)
    const end = bytes.subarray(0, bytesRead).lastIndexOf(0x0a) + 1
    this.#known += end
    return parseLines(bytes.toString('utf8', 0, end), (fault) => onProblem(new Error(`${path}: ${fault}`)))
  }

  async close(): Promise<void> {
    clearTimeout(this.#retry)
    await this.#write()
    this.#closed = true
    clearTimeout(this.#retry)
    await this.#release()
  }

  /** One write at a time; it takes all that wait. */
  async #write(): Promise<void> {
    if (this.#writing !== undefined) return this.#writing
    if (this.#waiting.length === 0 || this.#closed) return
    clearTimeout(this.#retry)
    this.#writing = this.#writeAll()
    return this.#writing
  }

  async #writeAll(): Promise<void> {
    while (this.#waiting.length > 0) {
      const batch = [...this.#waiting]
      try {
        await this.#put(batch.map(({ line }) => line).join(''))
      } catch (cause) {
        const problem = new Error(`${this.#options.path} cannot be written: ${reasonOf(cause)}`, { cause })
        // Whoever waits is told once; the lines stay.
        for (const each of batch) each.reject(problem)
        this.#retry = setTimeout(() => void this.#write(), retryAfter).unref()
        break
      }
      this.#waiting = this.#waiting.slice(batch.length)
      for (const each of batch) each.resolve()
    }
    // Not a tick later: whoever is told that his line is written may come with the next.
    this.#writing = undefined
  }

  async #put(text: string): Promise<void> {
    const handle = await this.#reach()
    const bytes = Buffer.from(text)
    const { size } = await handle.stat()
    try {
      const { bytesWritten } = await handle.write(bytes)
      if (bytesWritten < bytes.length) throw new Error('the disk is full')
      await makeLasting(handle)
    } catch (error) {
      // A line that is half there would be taken for damage.
      await handle.truncate(size).catch(() => {})
      throw error
    }
    if (size === this.#known) this.#known += bytes.length
  }

  /** The file under its name, which may have been taken away or replaced since. */
  async #reach(): Promise<FileHandle> {
    const { path, inForce } = this.#options
    const there = await stat(path).catch(() => undefined)
    if (this.#handle !== undefined && there !== undefined && identityOf(there) === this.#identity) return this.#handle
    await this.#release()
    await mkdir(dirname(path), { recursive: true, mode: 0o700 })
    const handle = await open(path, flags, 0o600)
    try {
      if (there === undefined) {
        // Also what is about to be written: an order that stands there twice is one.
        const text = inForce().map(toLine).join('')
        await handle.write(text)
        await makeLasting(handle)
        await syncFolder(path)
        this.#known = Buffer.byteLength(text)
      }
      this.#identity = identityOf(await handle.stat())
    } catch (error) {
      await handle.close()
      throw error
    }
    this.#handle = handle
    return handle
  }

  async #mend({ tail, length }: StopsRead): Promise<void> {
    await using handle = await open(this.#options.path, flags)
    if (tail === 'torn') await handle.truncate(length)
    else await handle.write('\n')
    await makeLasting(handle)
    this.#known = tail === 'torn' ? length : length + 1
  }

  async #compact({ live }: StopsRead): Promise<void> {
    const { path } = this.#options
    const temporary = `${path}.${process.pid}.new`
    const text = live.map((order) => toLine({ order })).join('')
    try {
      await using handle = await open(temporary, 'w', 0o600)
      await handle.writeFile(text)
      await makeLasting(handle)
      await rename(temporary, path)
    } catch (error) {
      await rm(temporary, { force: true })
      throw error
    }
    await syncFolder(path)
    this.#known = Buffer.byteLength(text)
  }

  async #release(): Promise<void> {
    const handle = this.#handle
    this.#handle = undefined
    await handle?.close()
  }
}

/** A name is only lasting when the folder is. */
async function syncFolder(path: string): Promise<void> {
  await using folder = await open(dirname(path), 'r')
  await makeLasting(folder)
}

const identityOf = ({ dev, ino }: { readonly dev: number; readonly ino: number }) => `${dev}:${ino}`

function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  return 'code' in error && typeof error.code === 'string' ? error.code : error.message
}
