// Writes whole lines to a descriptor in batches, through pino's destination. Survives a full disk and a rotated file without tearing a line.
import { closeSync, fdatasync } from 'node:fs'
import pino from 'pino'
import { eachWriteLasts } from '../lasting.ts'

type Destination = ReturnType<typeof pino.destination>

/** A descriptor that is ready for appending. */
export interface Opened {
  readonly fd: number
  /** Which file it is (device and inode), so that another under the same name is noticed. */
  readonly identity: string
  /** How what is there already ends; `unknown` for a pipe or a device, where writing goes on at the byte where it stopped. */
  readonly tail: 'line_end' | 'inside_line' | 'unknown'
}

/** Where the lines go. */
export interface LineTarget {
  open(): Promise<Opened>
  /** The identity that the name has now; undefined when there is no such file. */
  identity(): Promise<string | undefined>
}

/** What the owner of a writer is told. */
export interface WriterEvents {
  /** From here on nothing is written, or not all. Called once for each trouble. */
  failed(error: Error): void
  /** Writing works again; so many lines were dropped meanwhile. The line that it answers stands in their place. */
  recovered(lost: number): string | undefined
  /** A line did not fit into the backlog. */
  dropped(): void
  /** What of a line is written. Asked once for each that is, in their order. */
  seal?: ((line: string) => string) | undefined
}

export interface WriterLimits {
  /** Characters that may wait while nothing can be written; further lines are dropped whole. */
  readonly backlog: number
  /** Characters that are written at once, without waiting for the end of `linger`. */
  readonly batch: number
  /** Milliseconds that a line may wait for others. */
  readonly linger: number
  /** Milliseconds between attempts while nothing can be written, and between two looks for a rotated file. */
  readonly probe: number
  /** Milliseconds after which a write that has not come back counts as trouble. */
  readonly stall: number
}

export const writerLimits: WriterLimits = {
  backlog: 8 << 20,
  batch: 128 << 10,
  linger: 50,
  probe: 1_000,
  stall: 5_000,
}

// pino's destination tries again each 100 ms while a pipe is full; then we call it trouble.
const busyTries = 10

interface Waiter {
  /** Waits for the disk, and not for the kernel alone. */
  readonly durable: boolean
  readonly resolve: () => void
  readonly reject: (error: Error) => void
}

interface Batch {
  readonly bytes: Buffer
  written: number
  waiters: readonly Waiter[]
}

/** One batch is on its way at a time; what comes meanwhile makes the next. */
export class LineWriter {
  readonly #target: LineTarget
  readonly #events: WriterEvents
  readonly #limits: WriterLimits
  #opened: Opened
  #destination: Destination
  #lines: string[] = []
  #waiting = 0
  #waiters: Waiter[] = []
  #batch: Batch | undefined
  #timer: NodeJS.Timeout | undefined
  #hurried = false
  #reopening = false
  #reopen = false
  #mayHaveMoved = false
  #stall: NodeJS.Timeout | undefined
  readonly #lookout: NodeJS.Timeout
  #trouble: Error | undefined
  #lost = 0
  #closed = false

  private constructor(target: LineTarget, opened: Opened, events: WriterEvents, limits: WriterLimits) {
    this.#target = target
    this.#events = events
    this.#limits = limits
    this.#opened = opened
    this.#destination = this.#attach(opened)
    this.#lookout = setInterval(() => {
      this.#mayHaveMoved = true
    }, limits.probe).unref()
    // A line torn by an earlier end of the process stays alone on its line.
    if (opened.tail === 'inside_line') this.#lines.push('\n')
  }

  /** @throws what the target throws when it cannot be opened */
  static async open(target: LineTarget, events: WriterEvents, limits = writerLimits): Promise<LineWriter> {
    return new LineWriter(target, await target.open(), events, limits)
  }

  get healthy(): boolean {
    return this.#trouble === undefined && this.#lost === 0
  }

  /** Characters that wait for being written. */
  get backlog(): number {
    return this.#waiting
  }

  /** @param line without its line end; written within `linger` */
  push(line: string): void {
    if (this.#waiting + line.length > this.#limits.backlog) {
      if (this.healthy) this.#events.failed(new Error('the backlog of lines is full'))
      this.#lost += 1
      this.#events.dropped()
      return
    }
    this.#add(line)
    if (this.#batch !== undefined || this.#trouble !== undefined) return
    if (this.#waiting >= this.#limits.batch) this.#hurry()
    else this.#timer ??= setTimeout(this.#write, this.#limits.linger).unref()
  }

  #add(line: string): void {
    const text = this.#events.seal?.(line) ?? line
    this.#lines.push(text, '\n')
    this.#waiting += text.length + 1
  }

  /** Resolves when the line is on the disk, or where there is none, when the kernel has it; rejects when it could not be written. What comes meanwhile goes together. */
  commit(line: string): Promise<void> {
    if (this.#trouble !== undefined) return Promise.reject(this.#trouble)
    const lost = this.#lost
    this.push(line)
    if (this.#lost > lost) return Promise.reject(new Error('the backlog of lines is full'))
    return this.#written(true)
  }

  /** Resolves when the kernel has every line pushed so far; rejects when writing fails. */
  flush(): Promise<void> {
    if (this.#trouble !== undefined) return Promise.reject(this.#trouble)
    if (this.#lines.length === 0 && this.#batch === undefined) return Promise.resolve()
    return this.#written(false)
  }

  #written(durable: boolean): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#waiters.push({ durable, resolve, reject })
      this.#hurry()
    })
  }

  /** Opens the name anew before the next line, as after a rotation. */
  reopen(): void {
    this.#reopen = true
    this.#hurry()
  }

  /** Writes what is left, as far as that is possible, and lets go of the file. */
  async close(): Promise<void> {
    if (this.#closed) return
    await this.flush().catch(() => {})
    this.#closed = true
    clearTimeout(this.#timer)
    clearTimeout(this.#stall)
    clearInterval(this.#lookout)
    await new Promise<void>((resolve) => {
      // After a broken pipe pino never says that it has closed.
      setTimeout(resolve, this.#limits.stall).unref()
      this.#destination.once('close', resolve)
      this.#destination.destroy()
    })
  }

  #hurry(): void {
    if (this.#hurried || this.#batch !== undefined || this.#trouble !== undefined) return
    this.#hurried = true
    setImmediate(this.#write)
  }

  readonly #write = (): void => {
    this.#hurried = false
    clearTimeout(this.#timer)
    this.#timer = undefined
    if (this.#closed || this.#batch !== undefined || this.#trouble !== undefined || this.#reopening) return
    if (this.#reopen || this.#mayHaveMoved) {
      void this.#follow()
      return
    }
    const batch = this.#take()
    if (batch.bytes.length === 0) settle(batch)
    else this.#send(batch)
  }

  #take(): Batch {
    const batch = { bytes: Buffer.from(this.#lines.join('')), written: 0, waiters: this.#waiters }
    this.#lines = []
    this.#waiting = 0
    this.#waiters = []
    return batch
  }

  #send(batch: Batch): void {
    this.#batch = batch
    // All of it was written, and the disk alone had failed.
    if (batch.written >= batch.bytes.length) {
      this.#done()
      return
    }
    this.#stall = setTimeout(() => this.#stalled(batch), this.#limits.stall).unref()
    // Declared for text, and meant for bytes in the content mode `buffer`.
    Reflect.apply(this.#destination.write, this.#destination, [batch.bytes.subarray(batch.written)])
  }

  /** A file under another inode, or none, under our name: from here on the lines go to a new one. */
  async #follow(): Promise<void> {
    this.#reopening = true
    this.#mayHaveMoved = false
    try {
      if (this.#reopen || (await this.#target.identity()) !== this.#opened.identity) {
        this.#reopen = false
        const opened = await this.#target.open()
        this.#swap(opened)
        if (opened.tail === 'inside_line') this.#lines.unshift('\n')
      }
      this.#reopening = false
      this.#write()
    } catch (error) {
      this.#reopening = false
      this.#fail(asError(error), this.#take())
    }
  }

  #swap(opened: Opened): void {
    this.#destination.destroy()
    this.#opened = opened
    this.#destination = this.#attach(opened)
  }

  #attach(opened: Opened): Destination {
    let tries = 0
    let broken = false
    const destination = pino.destination({
      fd: opened.fd,
      sync: false,
      contentMode: 'buffer',
      retryEAGAIN: () => {
        tries += 1
        return tries < busyTries
      },
    })
    destination.on('write', (count: number) => {
      tries = 0
      if (this.#batch !== undefined) this.#batch.written += count
    })
    destination.on('drain', () => this.#synced(opened))
    destination.on('error', (error: Error) => {
      // pino says the first error twice.
      if (broken || this.#batch === undefined) return
      broken = true
      this.#fail(error, this.#batch)
    })
    return destination
  }

  /** Whoever waits for the disk waits for it with all others of the batch; the next one gathers meanwhile. */
  #synced({ fd, tail }: Opened): void {
    const batch = this.#batch
    const isWaitedFor = batch?.waiters.some(({ durable }) => durable) === true
    if (tail === 'unknown' || eachWriteLasts !== 0 || !isWaitedFor) {
      this.#done()
      return
    }
    fdatasync(fd, (error) => {
      if (this.#batch !== batch) return
      if (error === null) this.#done()
      else this.#fail(error, batch)
    })
  }

  #done(): void {
    const batch = this.#batch
    if (batch === undefined) return
    this.#batch = undefined
    clearTimeout(this.#stall)
    if (!this.healthy) {
      const lost = this.#lost
      this.#trouble = undefined
      this.#lost = 0
      const instead = this.#events.recovered(lost)
      if (instead !== undefined) this.#add(instead)
    }
    settle(batch)
    if (this.#waiters.length > 0 || this.#reopen || this.#waiting >= this.#limits.batch) this.#write()
    else if (this.#lines.length > 0) this.#timer ??= setTimeout(this.#write, this.#limits.linger).unref()
  }

  #fail(error: Error, batch: Batch): void {
    clearTimeout(this.#stall)
    this.#troubled(error, batch)
    this.#batch = batch
    this.#timer = setTimeout(() => {
      // Else the lines that come afterwards would take it for their own.
      this.#timer = undefined
      void this.#probe(batch)
    }, this.#limits.probe).unref()
  }

  /** The write may come back yet; nothing is tried beside it. */
  #stalled(batch: Batch): void {
    this.#troubled(new Error(`a write has not come back for ${this.#limits.stall} ms`), batch)
  }

  /** Whoever waits is told; the lines stay, and are written when writing works again. */
  #troubled(error: Error, batch: Batch): void {
    const first = this.healthy
    this.#trouble = error
    const waiters = [...batch.waiters, ...this.#waiters]
    batch.waiters = []
    this.#waiters = []
    if (first) this.#events.failed(error)
    for (const { reject } of waiters) reject(error)
  }

  /** Opens the target again and goes on with the batch that failed. */
  async #probe(batch: Batch): Promise<void> {
    try {
      const opened = await this.#target.open()
      if (this.#closed) return closeSync(opened.fd)
      const rest = remainder(batch, opened, this.#opened)
      this.#reopen = false
      this.#swap(opened)
      this.#send(rest)
    } catch (error) {
      if (!this.#closed) this.#fail(asError(error), batch)
    }
  }
}

function settle(batch: Batch): void {
  for (const { resolve } of batch.waiters) resolve()
}

/** The batch from where to go on, so that in this file no line is torn or doubled. */
function remainder(batch: Batch, now: Opened, before: Opened): Batch {
  const { bytes, written } = batch
  const lineStart = written === 0 ? 0 : bytes.lastIndexOf(0x0a, written - 1) + 1
  const torn = now.tail === 'inside_line'
  const ours = torn && written > lineStart && now.identity === before.identity
  if (now.tail === 'unknown' || ours) return batch
  const rest = bytes.subarray(lineStart)
  return { bytes: torn && rest[0] !== 0x0a ? Buffer.concat([lineEnd, rest]) : rest, written: 0, waiters: [] }
}

const lineEnd = Buffer.from('\n')

const asError = (error: unknown) => (error instanceof Error ? error : new Error(String(error)))
