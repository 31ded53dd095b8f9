// Finds the test vectors that others wrote; they are not part of the project, so tests that want them may have to skip.
import { existsSync } from 'node:fs'
import { join, resolve } from 'node:path'

/** @returns the folder, or undefined when the vectors are not here; then the test says so and is skipped */
export function vectors(folder: string): string | undefined {
  const root = process.env.POSTERN_VECTORS ?? resolve(import.meta.dirname, '../../../shared/vectors')
  const path = join(root, folder)
  if (existsSync(path)) return path
  console.warn(`skipped: no test vectors at ${path}; set POSTERN_VECTORS to their folder`)
  return undefined
}
