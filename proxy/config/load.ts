// File → configuration, or everything that is wrong with it.
import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { stat } from 'node:fs/promises'
import { resolve } from 'node:path'
import { disagreements } from './agreement.ts'
import { readDocument } from './document.ts'
import { federationDisagreements } from './federated.ts'
import { mistakesOf } from './issues.ts'
import { cannotRead, type Environment, missingReferences, readAuthorities, settle } from './outside.ts'
import { ConfigError, fileError, type Mistake } from './problems.ts'
import { wrongReferences } from './references.ts'
import { assemble, type Config, configForm, configSchema } from './schema.ts'
import { blankSecrets, blankValues } from './shown.ts'
import { Source } from './source.ts'

export interface Loaded {
  readonly config: Config
  /** For telling where in the file something stands. */
  readonly source: Source
  /** Of everything that was read; equal when nothing has changed. */
  readonly digest: string
  /** What was read, the configuration file first. */
  readonly files: readonly string[]
}

export const maxBytes = 1_048_576

/**
 * @param path of the configuration file; paths in it are relative to its folder
 * @param environment what `${env:NAME}` is looked up in; values are not kept
 * @throws ConfigError with all that is wrong
 */
export async function loadConfig(path: string, environment: Environment): Promise<Config> {
  return (await readConfig(path, environment)).config
}

/** As `loadConfig`, and tells what was read. */
export async function readConfig(file: string, environment: Environment): Promise<Loaded> {
  return configFrom(await readBytes(file), file, environment)
}

/**
 * As `readConfig`, of what has been read of a file.
 * @param file what it is called in errors; paths in it are relative to its folder
 */
export async function configFrom(bytes: Uint8Array, file: string, environment: Environment): Promise<Loaded> {
  const text = textOf(bytes, file)
  const form = configForm()
  const { data: written, root, faults, usable } = readDocument(text)
  if (!usable) throw new Source(file, text, () => blankValues(text), root).error(faults)

  const { data, references, authorities } = settle(written, form, file)
  const parsed = configSchema.safeParse(data)
  const pems = await Promise.all(
    authorities.map(async ({ path, file: ca }) => ({ path, ca, ...(await readAuthorities(ca)) })),
  )
  const mistakes: Mistake[] = [
    ...faults,
    ...(parsed.success ? [] : mistakesOf(parsed.error.issues, form, data)),
    ...wrongReferences(data),
    ...disagreements(data),
    ...federationDisagreements(data),
    ...(await missingReferences(references, environment)),
    ...pems.flatMap((read) => ('wrong' in read ? [{ path: read.path, message: read.wrong }] : [])),
  ]
  const source = new Source(file, text, () => blankSecrets(text, written, root, form), root)
  if (!parsed.success || mistakes.length > 0) throw source.error(mistakes)
  const contents = new Map(pems.flatMap((read) => ('pem' in read ? [[read.ca, read.pem]] : [])))
  return {
    config: assemble(parsed.data, contents),
    source,
    digest: createHash('sha256')
      .update(JSON.stringify([text, [...contents]]))
      .digest('hex'),
    files: [resolve(file), ...contents.keys()],
  }
}

async function readBytes(file: string): Promise<Uint8Array> {
  try {
    const found = await stat(file)
    if (!found.isFile() && !found.isFIFO()) throw fileError(file, 'is not a file', 'unreadable')
    // One byte more than is allowed, so that a longer file is noticed without being read.
    return Buffer.concat(await createReadStream(file, { end: maxBytes }).toArray())
  } catch (error) {
    throw error instanceof ConfigError ? error : fileError(file, cannotRead(error), 'unreadable')
  }
}

function textOf(bytes: Uint8Array, file: string): string {
  if (bytes.byteLength > maxBytes) throw fileError(file, `is larger than ${maxBytes} bytes`, 'invalid')
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch {
    throw fileError(file, 'is not UTF-8', 'invalid')
  }
}
