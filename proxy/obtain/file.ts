// Credential from a file, as secrets are mounted into pods; a replaced file is noticed.
import { type StatsListener, unwatchFile, watchFile } from 'node:fs'
import * as z from 'zod'
import { filePath } from '../config/scalars.ts'
import { commonKeys, usernameKey } from './common-settings.ts'
import { makeSecret } from './make-secret.ts'
import type { CredentialProvider, Lease } from './provider.ts'
import { readSmallFile } from './small-file.ts'

export const fileSchema = z
  .strictObject({
    kind: z.literal('file').describe('A file, read again when it is replaced.'),
    ...commonKeys,
    path: filePath.describe(
      'The file: UTF-8, at most 64 KiB, nothing in it but the credential; one final newline is trimmed.',
    ),
    username: usernameKey,
  })
  .describe('A credential from a file, read again when it is replaced.')

/** Milliseconds between two looks at the file. */
const glance = 500

export class FileProvider implements CredentialProvider {
  readonly kind = 'file'
  readonly #name: string
  readonly #settings: z.output<typeof fileSchema>
  readonly #listeners = new Set<StatsListener>()

  constructor(name: string, settings: z.output<typeof fileSchema>) {
    this.#name = name
    this.#settings = settings
  }

  partition(): string {
    return ''
  }

  async obtain(): Promise<Lease> {
    const { path, username } = this.#settings
    return {
      credential: this.#name,
      kind: this.kind,
      secret: makeSecret(this.#name, await readSmallFile(path), path),
      username,
      expiresAt: undefined,
      scopes: undefined,
      cache: 'miss',
    }
  }

  /**
   * Looks at what the path leads to instead of waiting for notices: mounted secrets are replaced by swapping the
   * `..data` symlink beside the file, which a watch of the file itself never sees, and network file systems send none.
   */
  watch(changed: () => void): void {
    const listener: StatsListener = (now, before) => {
      // The first look at a missing file reports it as missing; nothing has changed then.
      if (now.ino !== 0 || before.ino !== 0) changed()
    }
    this.#listeners.add(listener)
    watchFile(this.#settings.path, { interval: glance, persistent: false }, listener)
  }

  close(): void {
    for (const listener of this.#listeners) unwatchFile(this.#settings.path, listener)
    this.#listeners.clear()
  }
}
