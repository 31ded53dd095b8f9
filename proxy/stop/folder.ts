// Tells at once that something in a folder may have changed; where the kernel does not tell, soon.
import { type FSWatcher, watch } from 'node:fs'

/** Milliseconds between looks without a word of the kernel: a network file system, a full inotify table, a folder that was replaced. */
const lookAgain = 1_000

/** Calls `look` after each change and now and then without one, never twice at the same time. */
export class Folder {
  readonly #path: string
  readonly #file: string | undefined
  readonly #look: () => Promise<void>
  readonly #poll: NodeJS.Timeout
  #watcher: FSWatcher | undefined
  #looking: Promise<void> | undefined
  #again = false
  #closed = false

  /**
   * @param look does not reject
   * @param file the only one in it that is of interest, where there is only one
   */
  constructor(path: string, look: () => Promise<void>, file?: string) {
    this.#path = path
    this.#file = file
    this.#look = look
    this.#watch()
    this.#poll = setInterval(() => {
      this.#watch()
      this.#notice()
    }, lookAgain).unref()
  }

  async close(): Promise<void> {
    this.#closed = true
    clearInterval(this.#poll)
    this.#watcher?.close()
    await this.#looking
  }

  #watch(): void {
    if (this.#watcher !== undefined) return
    try {
      const watcher = watch(this.#path, { persistent: false }, (_event, name) => {
        if (this.#file === undefined || name === null || name === this.#file) this.#notice()
      })
      this.#watcher = watcher
      watcher.on('error', () => {
        watcher.close()
        this.#watcher = undefined
      })
    } catch {
      // Then the regular look finds it.
    }
  }

  #notice(): void {
    if (this.#closed) return
    if (this.#looking !== undefined) {
      this.#again = true
      return
    }
    this.#again = false
    this.#looking = this.#look().finally(() => {
      this.#looking = undefined
      if (this.#again) this.#notice()
    })
  }
}
