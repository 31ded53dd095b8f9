// Reads the configuration again when it changes, or when asked, and keeps the last good one.
import { type FSWatcher, statSync, watch } from 'node:fs'
import { linksOf } from './links.ts'
import { type Loaded, readConfig } from './load.ts'
import type { Environment } from './outside.ts'
import type { Config } from './schema.ts'

export interface WatchOptions {
  readonly path: string
  readonly environment: Environment
  /** Takes the new configuration into use. While it fails, the one before stays. */
  readonly onReload: (config: Config) => void | Promise<void>
  /** A `ConfigError`, what `onReload` threw, or that changes cannot be watched for. The same one is told once. */
  readonly onFailure: (error: Error) => void
}

/** Editors and copies write in several steps; this long after the first the file is looked at. Milliseconds. */
const settling = 100

export class ConfigWatch {
  readonly #options: WatchOptions
  readonly #watchers = new Map<string, Watched>()
  #good: Loaded
  #lastFailure: string | undefined
  #timer: NodeJS.Timeout | undefined
  #running: Promise<boolean> = Promise.resolve(true)
  #closed = false

  /** @throws ConfigError when there is no good configuration to begin with; `onReload` is not called for the first. */
  static async start(options: WatchOptions): Promise<ConfigWatch> {
    return new ConfigWatch(options, await readConfig(options.path, options.environment))
  }

  private constructor(options: WatchOptions, first: Loaded) {
    this.#options = options
    this.#good = first
    this.#follow()
    // It may have changed after it was read and before it was watched.
    this.#soon()
  }

  /** The last good one. */
  get current(): Config {
    return this.#good.config
  }

  /** Reads it now, and takes it into use when it differs. @returns whether what stands in the file is in use */
  reload(): Promise<boolean> {
    this.#running = this.#running.then(() => this.#reload())
    return this.#running
  }

  close(): void {
    this.#closed = true
    clearTimeout(this.#timer)
    for (const { watcher } of this.#watchers.values()) watcher.close()
    this.#watchers.clear()
  }

  async #reload(): Promise<boolean> {
    if (this.#closed) return false
    try {
      const next = await readConfig(this.#options.path, this.#options.environment)
      if (this.#closed) return false
      if (next.digest !== this.#good.digest) {
        await this.#options.onReload(next.config)
        this.#good = next
      }
      this.#lastFailure = undefined
      return true
    } catch (error) {
      this.#fail(error)
      return false
    } finally {
      this.#follow()
    }
  }

  #fail(thrown: unknown): void {
    const error = thrown instanceof Error ? thrown : new Error(String(thrown))
    if (error.message === this.#lastFailure) return
    this.#lastFailure = error.message
    this.#options.onFailure(error)
  }

  #soon(): void {
    if (this.#closed || this.#timer !== undefined) return
    this.#timer = setTimeout(() => {
      this.#timer = undefined
      void this.reload()
    }, settling)
    this.#timer.unref()
  }

  /** Watches folders, not files: a file that is replaced by renaming takes its watch with it. */
  #follow(): void {
    if (this.#closed) return
    const links = [this.#options.path, ...this.#good.files].flatMap(linksOf)
    const wanted = Map.groupBy(links, (link) => link.folder)
    for (const [folder, { watcher, inode }] of this.#watchers) {
      // A folder that was replaced by another of the same name takes its watch with it, too.
      if (wanted.has(folder) && inodeOf(folder) === inode) continue
      watcher.close()
      this.#watchers.delete(folder)
    }
    for (const [folder, inside] of wanted) {
      const names = new Set(inside.map((link) => link.name))
      const existing = this.#watchers.get(folder)
      if (existing === undefined) this.#watch(folder, names)
      else existing.names = names
    }
  }

  #watch(folder: string, names: ReadonlySet<string>): void {
    try {
      const watched: Watched = { watcher: watch(folder, { persistent: false }), inode: inodeOf(folder), names }
      this.#watchers.set(folder, watched)
      watched.watcher.on('change', (_event, name) => {
        if (name === null || watched.names.has(String(name))) this.#soon()
      })
      watched.watcher.on('error', () => {
        watched.watcher.close()
        this.#watchers.delete(folder)
        this.#soon()
      })
    } catch (cause) {
      this.#fail(new Error(`changes of ${folder} cannot be watched for`, { cause }))
    }
  }
}

interface Watched {
  readonly watcher: FSWatcher
  readonly inode: bigint | undefined
  /** Whatever else is in the folder is of no interest. */
  names: ReadonlySet<string>
}

const inodeOf = (folder: string) => statSync(folder, { bigint: true, throwIfNoEntry: false })?.ino
