// Finds the records that `logs` and `why` read.
import { readFileSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { parse } from 'yaml'
import { CommandError, exit } from './exit.ts'

const usualNames = ['postern.yaml', 'postern.yml']

/**
 * In this order: the path given, $POSTERN_RECORDS, `records.to` of the configuration (given, $POSTERN_CONFIG, or postern.yaml here).
 * Reads that one key alone, so that records can be read while the rest of the configuration is broken.
 * @returns a path, or `-` for standard input
 * @throws CommandError when none is named
 */
export function recordFile(
  path: string | undefined,
  config: string | undefined,
  environment: Readonly<Record<string, string | undefined>>,
): string {
  const named = path ?? environment.POSTERN_RECORDS
  if (named !== undefined && named !== '') return named
  const chosen = config ?? environment.POSTERN_CONFIG
  for (const candidate of chosen === undefined ? usualNames : [chosen]) {
    const text = textOf(candidate)
    if (text !== undefined) return fromConfig(text, candidate)
  }
  throw new CommandError(
    chosen === undefined ? exit.usage : exit.noInput,
    chosen === undefined
      ? 'Name the file of records, or the configuration with -c, or set POSTERN_RECORDS.'
      : `${chosen} cannot be read.`,
  )
}

function fromConfig(text: string, config: string): string {
  const to = recordsTo(text)
  if (to !== undefined && to !== 'stdout') return resolve(dirname(config), to)
  throw new CommandError(exit.usage, `By ${config}, records go to standard output. Pipe them in: … | postern logs -`)
}

function recordsTo(text: string): string | undefined {
  try {
    const to: unknown = parse(text)?.records?.to
    return typeof to === 'string' ? to : undefined
  } catch {
    return undefined
  }
}

function textOf(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return undefined
  }
}
