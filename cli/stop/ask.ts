// Asks the running proxy about stops; that none runs is an answer.
import { CommandError, exit } from '../exit.ts'

/**
 * @returns undefined when no proxy runs
 * @throws CommandError when it is there and does not do what it is asked
 */
export async function askRunning<T>(ask: () => Promise<T>): Promise<T | undefined> {
  try {
    return await ask()
  } catch (error) {
    if (isAbsence(error)) return undefined
    throw new CommandError(exit.unavailable, error instanceof Error ? error.message : String(error))
  }
}

function isAbsence(error: unknown): boolean {
  const cause = error instanceof Error ? error.cause : undefined
  return cause instanceof Error && 'code' in cause && (cause.code === 'ENOENT' || cause.code === 'ECONNREFUSED')
}
