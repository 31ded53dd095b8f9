// Keeps the tokens that are still to be taken back over a restart: in clear, in a file that its owner alone can read, gone when none is left.
import { constants } from 'node:fs'
import { open, rename, rm } from 'node:fs/promises'
import { dirname } from 'node:path'
import * as z from 'zod'
import { makeLasting } from '../lasting.ts'
import { Secret } from '../secret.ts'
import { longestSecret } from './make-secret.ts'
import type { Revocation } from './revocations.ts'

/** Bytes; more was not written by us. */
const largest = 64 * 1_048_576

const fileSchema = z.strictObject({
  version: z.literal(1),
  tokens: z.array(
    z.strictObject({
      credential: z.string().min(1).max(100),
      server: z.string().min(1).max(16_384),
      token: z.string().min(1).max(longestSecret),
      until: z.int(),
    }),
  ),
})

export interface RevocationFileOptions {
  readonly path: string
  /** Told when it cannot be read or written; tokens are then taken back only while this process lives. */
  readonly onProblem: (problem: Error) => void
}

export class RevocationFile {
  readonly #options: RevocationFileOptions
  #wanted: (() => readonly Revocation[]) | undefined
  #writing: Promise<void> | undefined

  constructor(options: RevocationFileOptions) {
    this.#options = options
  }

  /** What an earlier process left; nothing where there is no file, or none that can be trusted. */
  async read(): Promise<readonly Revocation[]> {
    try {
      return parse(await readOwn(this.#options.path))
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return []
      this.#problem('read', error)
      return []
    }
  }

  /**
   * Writes what there is when its turn comes; what was asked for meanwhile is written together.
   * @returns resolves when it is durable, or a problem was told
   */
  write(current: () => readonly Revocation[]): Promise<void> {
    this.#wanted = current
    this.#writing ??= this.#work().finally(() => {
      this.#writing = undefined
    })
    return this.#writing
  }

  async #work(): Promise<void> {
    for (let wanted = this.#wanted; wanted !== undefined; wanted = this.#wanted) {
      // What is wanted meanwhile has its turn in this loop.
      this.#wanted = undefined
      try {
        await replace(this.#options.path, wanted())
      } catch (error) {
        this.#problem('written', error)
      }
    }
  }

  #problem(what: 'read' | 'written', cause: unknown): void {
    // Never the message of a parser: it quotes what it read.
    const { code = 'it is not what was written here' } = cause as NodeJS.ErrnoException
    this.#options.onProblem(new Error(`${this.#options.path} cannot be ${what}: ${code}`))
  }
}

async function readOwn(path: string): Promise<string> {
  // A symlink or a FIFO was put there by somebody else.
  await using handle = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK)
  const found = await handle.stat()
  if (!found.isFile() || found.size > largest || (found.mode & 0o077) !== 0) throw new Error('not ours')
  return handle.readFile('utf8')
}

function parse(text: string): readonly Revocation[] {
  return fileSchema
    .parse(JSON.parse(text))
    .tokens.map(({ token, ...rest }) => ({ ...rest, token: new Secret(rest.credential, token) }))
}

/** Whoever reads it sees the content of before or the new one; no file where there is nothing to say. */
async function replace(path: string, revocations: readonly Revocation[]): Promise<void> {
  if (revocations.length === 0) return rm(path, { force: true })
  const tokens = revocations.map(({ token, ...rest }) => ({ ...rest, token: token.reveal() }))
  const temporary = `${path}.new`
  await rm(temporary, { force: true })
  {
    await using handle = await open(temporary, 'wx', 0o600)
    await handle.writeFile(JSON.stringify({ version: 1, tokens }))
    await makeLasting(handle)
  }
  await rename(temporary, path)
  // A rename is only lasting when the folder is.
  await using folder = await open(dirname(path), 'r')
  await makeLasting(folder)
}
