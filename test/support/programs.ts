// Which programs this machine has: tests of real clients are left out, with a reason, where theirs is missing.
import { spawnSync } from 'node:child_process'

/**
 * @param probe a command that ends with 0 where the program works
 * @returns why tests of it are left out; undefined when they need not be
 */
export function missing(what: string, [file = '', ...argv]: readonly string[]): string | undefined {
  const { status, error } = spawnSync(file, argv, { stdio: 'ignore', timeout: 10_000 })
  if (error === undefined && status === 0) return undefined
  return `${what} is not installed here (${file} ${argv.join(' ')})`
}
