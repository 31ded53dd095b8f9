// What the configuration refers to outside itself: environment variables, files of secrets, files of authorities.
import { X509Certificate } from 'node:crypto'
import { access, constants, readFile, stat } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import type { Mistake } from './problems.ts'
import { type Form, mapScalars } from './shape.ts'

export type Environment = Readonly<Record<string, string | undefined>>

/** A `${env:NAME}` or `${file:/path}` and where it stands. */
interface Reference {
  readonly path: readonly string[]
  readonly from: 'env' | 'file'
  readonly name: string
}

interface Authorities {
  readonly path: readonly string[]
  readonly file: string
}

export interface Settled {
  readonly data: unknown
  readonly references: readonly Reference[]
  readonly authorities: readonly Authorities[]
}

const reference = /^\$\{(env|file):([^}]+)\}$/

/** Makes paths absolute, against the folder of the configuration file, and tells what they and references lead to. */
export function settle(written: unknown, form: Form, file: string): Settled {
  const folder = dirname(resolve(file))
  const references: Reference[] = []
  const authorities: Authorities[] = []
  const data = mapScalars(written, form, (value, forms, path) => {
    if (typeof value !== 'string' || value === '') return value
    if (forms.some((each) => each.format === 'path')) {
      const absolute = resolve(folder, value)
      if (path.at(-2) === 'ca') authorities.push({ path, file: absolute })
      return absolute
    }
    const [, from, name] = reference.exec(value) ?? []
    if (name === undefined || !forms.some((each) => each.format === 'secret-reference')) return value
    if (from === 'env') {
      references.push({ path, from, name })
      return value
    }
    const absolute = resolve(folder, name)
    references.push({ path, from: 'file', name: absolute })
    return `\${file:${absolute}}`
  })
  return { data, references, authorities }
}

/** References that lead nowhere. Files are only looked at, not read: what is in them is nobody's business here. */
export async function missingReferences(
  references: readonly Reference[],
  environment: Environment,
): Promise<Mistake[]> {
  const found = await Promise.all(
    references.map(async ({ path, from, name }): Promise<Mistake[]> => {
      const message = from === 'env' ? missingVariable(name, environment) : await missingFile(name)
      return message === undefined ? [] : [{ path, message }]
    }),
  )
  return found.flat()
}

function missingVariable(name: string, environment: Environment): string | undefined {
  const value = Object.hasOwn(environment, name) ? environment[name] : undefined
  if (value === undefined) return `the environment variable ${name} is not set`
  return value === '' ? `the environment variable ${name} is empty` : undefined
}

async function missingFile(path: string): Promise<string | undefined> {
  try {
    if (!(await stat(path)).isFile()) return `${path} is not a file`
    await access(path, constants.R_OK)
    return undefined
  } catch (error) {
    return `${path} ${cannotRead(error)}`
  }
}

/** Why a file cannot be read, to be put behind its name. */
export function cannotRead(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? error.code : undefined
  if (code === 'ENOENT' || code === 'ENOTDIR') return 'does not exist'
  if (code === 'EACCES' || code === 'EPERM') return 'may not be read by this user'
  if (code === 'EISDIR') return 'is a folder'
  return `cannot be read (${typeof code === 'string' ? code : String(error)})`
}

const maxPemBytes = 1_048_576

/** @returns the PEM, or what is wrong with it */
export async function readAuthorities(path: string): Promise<{ readonly pem: string } | { readonly wrong: string }> {
  try {
    const { size } = await stat(path)
    if (size > maxPemBytes) return { wrong: `${path} is larger than ${maxPemBytes} bytes` }
    const pem = await readFile(path, 'utf8')
    const blocks = pem.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? []
    if (blocks.length === 0) return { wrong: `${path} holds no certificate in PEM` }
    for (const block of blocks) new X509Certificate(block)
    // Only the certificates: a private key in the same file has no business in memory.
    return { pem: `${blocks.join('\n')}\n` }
  } catch (error) {
    const unparsable = error instanceof Error && 'code' in error && String(error.code).startsWith('ERR_OSSL')
    return { wrong: unparsable ? `${path} holds a certificate that cannot be parsed` : `${path} ${cannotRead(error)}` }
  }
}
