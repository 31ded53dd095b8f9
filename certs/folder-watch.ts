// Notices that files may have changed, by watching the folders that they stand in.
import { type FSWatcher, watch } from 'node:fs'
import { realpath, stat } from 'node:fs/promises'
import { dirname } from 'node:path'

/** Writers replace several files one after the other; a change is told only when they have been quiet for so long. */
const quiet = 100
/** Where nothing can be watched: a full inotify table, a network file system, a folder that is made later. */
const lookAgain = 15_000

interface Watched {
  readonly watcher: FSWatcher
  /** A folder that was replaced has another inode. */
  readonly inode: number
}

/**
 * Folders and not files, since Kubernetes swaps a symbolic link beside them (`..data`) and careful writers rename.
 * `notice` is called after changes, and now and then without any.
 */
export class FolderWatch {
  readonly #notice: () => void
  readonly #watched = new Map<string, Watched>()
  readonly #poll: NodeJS.Timeout
  #settling: NodeJS.Timeout | undefined
  #closed = false

  constructor(notice: () => void) {
    this.#notice = notice
    this.#poll = setInterval(notice, lookAgain).unref()
  }

  /** Watches the folders of these files from now on, and those that their symbolic links lead to, and no others. */
  async cover(files: readonly string[]): Promise<void> {
    const folders = new Set<string>()
    for (const file of files) {
      folders.add(dirname(file))
      const target = await realpath(file).catch(() => undefined)
      if (target !== undefined) folders.add(dirname(target))
    }
    for (const folder of this.#watched.keys()) if (!folders.has(folder)) this.#drop(folder)
    for (const folder of folders) await this.#coverFolder(folder)
  }

  close(): void {
    this.#closed = true
    clearInterval(this.#poll)
    clearTimeout(this.#settling)
    for (const folder of [...this.#watched.keys()]) this.#drop(folder)
  }

  async #coverFolder(folder: string): Promise<void> {
    const inode = await stat(folder).then(
      ({ ino }) => ino,
      () => undefined,
    )
    if (this.#watched.get(folder)?.inode === inode) return
    this.#drop(folder)
    if (inode === undefined || this.#closed) return
    try {
      const watcher = watch(folder, { persistent: false }, () => this.#settle())
      watcher.on('error', () => this.#drop(folder))
      this.#watched.set(folder, { watcher, inode })
    } catch {
      // Then only the regular look finds the change.
    }
  }

  #drop(folder: string): void {
    this.#watched.get(folder)?.watcher.close()
    this.#watched.delete(folder)
  }

  #settle(): void {
    clearTimeout(this.#settling)
    if (!this.#closed) this.#settling = setTimeout(this.#notice, quiet).unref()
  }
}
