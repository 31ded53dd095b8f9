// The disk of the records: a pipe that is read late, a device that is full, one that forgets what it takes, and one that is there and not there.
import { constants } from 'node:fs'
import { lstat, open, readFile, rename, rm, symlink } from 'node:fs/promises'
import { join } from 'node:path'
import { execute } from '../../support/execute.ts'
import { Flapping, type Kind, type Part } from '../part.ts'

/** Milliseconds between two looks into the pipe; a write waits for as long. */
const late = 800

/** Milliseconds; the proxy looks for another file once a second, when there is something to write. */
const followsWithin = 10_000

export class Disk implements Part {
  readonly name = 'disk'
  readonly #folder: string
  /** Files that hold records, and text that was read from pipes. */
  readonly #files: string[] = []
  #piped = ''
  #number = 0
  #reader: Promise<void> | undefined
  #reading = false
  // The proxy looks for another file once a second.
  readonly #flapping = new Flapping((well) => (well ? this.#real() : this.#instead('/dev/full')), 1_200)
  #turning: Promise<void> = Promise.resolve()

  constructor(folder: string) {
    this.#folder = folder
  }

  get path(): string {
    return join(this.#folder, 'records.jsonl')
  }

  async begin(kind: Kind): Promise<void> {
    if (kind === 'flapping') this.#flapping.begin()
    else if (kind === 'dead') await this.#instead('/dev/full')
    else if (kind === 'lying') await this.#instead('/dev/null')
    else await this.#pipe()
  }

  async end(): Promise<void> {
    this.#flapping.end()
    await this.#real()
    await this.#followed()
    this.#reading = false
    await this.#reader
    this.#reader = undefined
  }

  /** All records that were written and can be read. */
  async records(): Promise<string> {
    await this.#turning
    const texts = [...this.#files, this.path].map((file) => readFile(file, 'utf8').catch(() => ''))
    return [...(await Promise.all(texts)), this.#piped].join('\n')
  }

  /** Forgets what was written so far; the proxy goes on with another file. */
  async clear(): Promise<void> {
    await this.#turning
    await Promise.all(this.#files.splice(0).map((file) => rm(file, { force: true })))
    this.#piped = ''
  }

  #instead(device: string): Promise<void> {
    return this.#turn(async () => {
      await this.#aside()
      await symlink(device, this.path)
    })
  }

  #real(): Promise<void> {
    return this.#turn(() => this.#aside())
  }

  /** Whatever stands there makes room; a file is kept, for its records. */
  async #aside(): Promise<void> {
    const status = await lstat(this.path).catch(() => undefined)
    if (status === undefined) return
    if (!status.isFile()) return await rm(this.path)
    const kept = join(this.#folder, `records-${this.#number++}.jsonl`)
    await rename(this.path, kept)
    this.#files.push(kept)
  }

  async #pipe(): Promise<void> {
    await this.#turn(async () => {
      await this.#aside()
      await execute('mkfifo', ['-m', '600', this.path], { cwd: this.#folder })
    })
    const pipe = await open(this.path, constants.O_RDWR | constants.O_NONBLOCK)
    // Full from the beginning, so that the first write waits.
    const filler = Buffer.alloc(4_096, '\n')
    for (let room = true; room; )
      room = await pipe.write(filler).then(
        () => true,
        () => false,
      )
    this.#reading = true
    this.#reader = this.#drain(pipe)
  }

  async #drain(pipe: Awaited<ReturnType<typeof open>>): Promise<void> {
    const buffer = Buffer.alloc(1 << 20)
    // A last look when nobody writes any more.
    for (let last = false; !last; ) {
      last = !this.#reading
      await new Promise((resolve) => setTimeout(resolve, late))
      for (;;) {
        const count = await pipe.read(buffer).then(
          ({ bytesRead }) => bytesRead,
          () => 0,
        )
        if (count === 0) break
        this.#piped += buffer.toString('utf8', 0, count)
      }
    }
    await pipe.close()
  }

  /** Waits until the proxy writes into a file of that name again; what it wrote elsewhere before is where it was. */
  async #followed(): Promise<void> {
    for (const until = performance.now() + followsWithin; performance.now() < until; ) {
      if ((await lstat(this.path).catch(() => undefined))?.isFile() === true) return
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
  }

  #turn(work: () => Promise<void>): Promise<void> {
    this.#turning = this.#turning.then(work)
    return this.#turning
  }
}
