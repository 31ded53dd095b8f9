// The file of budgets as an earlier process left it: one line of JSON an account, of which the last counts.
import { constants, open } from 'node:fs/promises'
import * as z from 'zod'
import type { AccountLine } from '../../policy/budgets/account.ts'

const amount = z.number().min(0).max(Number.MAX_VALUE)

const lineSchema = z.strictObject({
  book: z.string().min(1),
  key: z.string().min(1),
  ends: z.number(),
  requests: amount,
  bytes: amount,
  cost: amount,
  paths: z.array(z.string()).optional(),
})

export const toLine = (line: AccountLine) => `${JSON.stringify(line)}\n`

/**
 * @returns nothing where there is no file; a torn end is left out, since what it said was not waited for any more
 * @throws Error when a line cannot be read, or others could have written it: what is spent is not known then
 */
export async function readLines(path: string): Promise<readonly AccountLine[]> {
  const bytes = await readOwn(path)
  const text = bytes.toString('utf8', 0, bytes.lastIndexOf(0x0a) + 1)
  return text
    .split('\n')
    .slice(0, -1)
    .map((line, index) => {
      const read = parseLine(line)
      if (read !== undefined) return read
      throw new Error(
        `${path}:${index + 1}: this line says nothing about a budget, so what is spent is not known; mend or remove it`,
      )
    })
}

function parseLine(line: string): AccountLine | undefined {
  try {
    return lineSchema.safeParse(JSON.parse(line)).data
  } catch {
    return undefined
  }
}

async function readOwn(path: string): Promise<Buffer> {
  try {
    await using handle = await open(path, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOFOLLOW)
    const found = await handle.stat()
    if (!found.isFile()) throw new Error(`${path} is not a regular file`)
    if (found.uid !== 0 && found.uid !== process.getuid?.()) {
      throw new Error(`${path} belongs to another user (uid ${found.uid})`)
    }
    // Whoever can write it can spend without end.
    if ((found.mode & 0o022) !== 0) throw new Error(`${path} can be written by others; run chmod go-w on it`)
    return await handle.readFile()
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return Buffer.alloc(0)
    throw error
  }
}
