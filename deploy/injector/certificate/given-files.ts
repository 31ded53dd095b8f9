// A certificate that something else keeps current in files, such as cert-manager.
import { readFile } from 'node:fs/promises'
import { FolderWatch } from '../../../certs/folder-watch.ts'
import type { InjectorMetrics } from '../metrics.ts'
import type { ShownCertificate } from '../server.ts'
import { validityOf } from './pair.ts'

export interface GivenFilesOptions {
  readonly certificate: string
  readonly key: string
  readonly metrics: InjectorMetrics
  readonly show: (certificate: ShownCertificate) => void
  /** Told when they cannot be used; what was shown stays. */
  readonly onProblem: (problem: unknown) => void
}

export class GivenFilesCertificate {
  readonly #options: GivenFilesOptions
  readonly #watch: FolderWatch
  #shown = ''

  constructor(options: GivenFilesOptions) {
    this.#options = options
    this.#watch = new FolderWatch(() => void this.#read())
  }

  async start(): Promise<void> {
    await this.#read()
  }

  close(): void {
    this.#watch.close()
  }

  async #read(): Promise<void> {
    const { certificate, key, metrics, show, onProblem } = this.#options
    try {
      await this.#watch.cover([certificate, key])
      const [cert, secret] = await Promise.all([certificate, key].map((path) => readFile(path, 'utf8')))
      if (cert === undefined || secret === undefined || cert + secret === this.#shown) return
      const { to } = validityOf({ cert, key: secret })
      show({ cert, key: secret })
      this.#shown = cert + secret
      metrics.certificateExpiry.set(to / 1_000)
    } catch (error) {
      onProblem(error)
    }
  }
}
