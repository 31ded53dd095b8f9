// Finds programs as execvp(3) does, to say beforehand what cannot be run.
import { accessSync, constants, statSync } from 'node:fs'
import { join } from 'node:path'

export type Found = { readonly path: string } | { readonly code: 'ENOENT' | 'EACCES' }

/** @param path the variable PATH */
export function findProgram(file: string, path: string): Found {
  if (file.includes('/')) return lookAt(file)
  let code: 'ENOENT' | 'EACCES' = 'ENOENT'
  for (const folder of path.split(':')) {
    const found = lookAt(join(folder === '' ? '.' : folder, file))
    if ('path' in found) return found
    if (found.code === 'EACCES') code = 'EACCES'
  }
  return { code }
}

function lookAt(path: string): Found {
  try {
    if (!statSync(path).isFile()) return { code: 'EACCES' }
    accessSync(path, constants.X_OK)
    return { path }
  } catch (error) {
    return { code: (error as NodeJS.ErrnoException).code === 'EACCES' ? 'EACCES' : 'ENOENT' }
  }
}

/** Where administrators' programs are, which are often not in the path of a user. */
const usual = '/usr/sbin:/sbin:/usr/local/sbin:/usr/bin:/bin'

/**
 * The absolute paths of programs that we need.
 * @throws Error that names the package of the first one that is missing
 */
export function neededPrograms<Name extends string>(
  packages: Readonly<Record<Name, string>>,
  path: string,
): Readonly<Record<Name, string>> {
  const found: Partial<Record<Name, string>> = {}
  const absolute = path.split(':').filter((folder) => folder.startsWith('/'))
  for (const name of Object.keys(packages) as Name[]) {
    const where = findProgram(name, [...absolute, usual].join(':'))
    if (!('path' in where)) throw new Error(`there is no ${name} here (of ${packages[name]})`)
    found[name] = where.path
  }
  return found as Record<Name, string>
}
