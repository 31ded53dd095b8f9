// Writes down what is spent, so that a restart gives nothing back. What has changed is appended; now and then the file is made anew.
import { constants, type FileHandle, mkdir, open, rename, rm } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { Counted } from '../../policy/budgets/account.ts'
import { makeLasting } from '../lasting.ts'
import { readLines, toLine } from './budget-lines.ts'

/** Milliseconds after which what nobody waits for is written: bytes that pass, and what requests have cost. */
const everyWrite = 1_000
/** Milliseconds between two looks for accounts whose window is over. */
const everySweep = 60_000
/** The file is made anew when it has grown to so many bytes, and to so many times what it was. */
const ample = 1_048_576
const ampleRatio = 4
/** Lines that are made at once; others have their turn between. */
const slice = 1_000

export interface BudgetFileOptions {
  readonly path: string
  readonly counted: Counted
  /** Told once when it cannot be written, until it can be again. Then budgets are kept in memory alone. */
  readonly onProblem: (problem: Error) => void
}

export class BudgetFile {
  readonly #options: BudgetFileOptions
  readonly #writing: NodeJS.Timeout
  readonly #sweeping: NodeJS.Timeout
  #handle: FileHandle | undefined
  /** Bytes of the file now, and when it was made anew. */
  #size = 0
  #base = 0
  #healthy = true
  #current: Promise<void> = Promise.resolve()
  #next: Promise<void> | undefined

  /** @throws Error that names the line, when one cannot be read; or says why the file cannot be trusted */
  static async open(options: BudgetFileOptions): Promise<BudgetFile> {
    for (const line of await readLines(options.path)) options.counted.restore(line)
    return new BudgetFile(options)
  }

  private constructor(options: BudgetFileOptions) {
    this.#options = options
    this.#writing = setInterval(() => {
      if (this.#isBehind) void this.#write()
    }, everyWrite)
    this.#writing.unref()
    this.#sweeping = setInterval(() => options.counted.sweep(), everySweep)
    this.#sweeping.unref()
  }

  /** Resolves when everything that was counted so far is in the file, or when that cannot be waited for. Never rejects. */
  written(): Promise<void> {
    return this.#healthy ? this.#write() : Promise.resolve()
  }

  async close(): Promise<void> {
    clearInterval(this.#writing)
    clearInterval(this.#sweeping)
    if (this.#isBehind) await this.#write()
    await this.#current
    await this.#handle?.close()
    this.#handle = undefined
  }

  get #isBehind(): boolean {
    return this.#options.counted.hasChanged || !this.#healthy
  }

  /** One write at a time; whoever comes meanwhile shares the next. */
  #write(): Promise<void> {
    this.#next ??= this.#current.then(() => {
      this.#next = undefined
      this.#current = this.#put()
      return this.#current
    })
    return this.#next
  }

  async #put(): Promise<void> {
    try {
      if (this.#handle === undefined || this.#size > Math.max(ample, this.#base * ampleRatio)) await this.#renew()
      else await this.#append(this.#handle)
      this.#healthy = true
    } catch (cause) {
      // What stands there may be half a line, and what was to be added is not there: next time, all of it.
      await this.#handle?.close().catch(() => {})
      this.#handle = undefined
      if (this.#healthy) this.#options.onProblem(problem(this.#options.path, cause))
      this.#healthy = false
    }
  }

  async #append(handle: FileHandle): Promise<void> {
    let text = ''
    for (const line of this.#options.counted.takeChanged()) text += toLine(line)
    await this.#add(handle, text)
  }

  async #add(handle: FileHandle, text: string): Promise<void> {
    const { bytesWritten } = await handle.write(text)
    if (bytesWritten < Buffer.byteLength(text)) throw new Error('the disk is full')
    this.#size += bytesWritten
  }

  /** Whoever reads it sees the file of before or the new one. What changes meanwhile is appended afterwards. */
  async #renew(): Promise<void> {
    const { path, counted } = this.#options
    const temporary = `${path}.${process.pid}.new`
    await mkdir(dirname(path), { recursive: true, mode: 0o700 })
    await rm(temporary, { force: true })
    const handle = await open(
      temporary,
      constants.O_WRONLY | constants.O_APPEND | constants.O_CREAT | constants.O_EXCL,
      0o600,
    )
    const before = this.#handle
    try {
      this.#size = 0
      // These are among all.
      for (const _ of counted.takeChanged());
      let text = ''
      let lines = 0
      for (const line of counted.all()) {
        text += toLine(line)
        lines += 1
        if (lines % slice > 0) continue
        await this.#add(handle, text)
        text = ''
      }
      await this.#add(handle, text)
      await makeLasting(handle)
      await rename(temporary, path)
    } catch (error) {
      await handle.close()
      await rm(temporary, { force: true })
      throw error
    }
    this.#base = this.#size
    this.#handle = handle
    await before?.close()
  }
}

function problem(path: string, cause: unknown): Error {
  const { code, message } = cause as NodeJS.ErrnoException
  return new Error(
    `${path} cannot be written, so what is spent of budgets ends with this process: ${code ?? message}`,
    {
      cause,
    },
  )
}
