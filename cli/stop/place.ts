// Where stops are ordered: the admin socket, or the file beside it while no proxy runs.
import { readFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import type { Command } from 'commander'
import { parseDocument } from 'yaml'
import { configPath } from '../config-path.ts'
import { CommandError, exit } from '../exit.ts'

export interface PlaceOptions {
  readonly socket?: string
  readonly config?: string
  readonly json?: true
}

export interface StopPlace {
  readonly socket: string
  /** Where orders are written down. */
  readonly file: string
  /** The options that lead here, for commands that are shown. */
  readonly said: string
}

export function withPlace(command: Command): Command {
  return command
    .option('--socket <path>', 'admin socket of the proxy')
    .option('-c, --config <file>', 'configuration that names the socket (default: as for postern run)')
    .option('--json', 'for programs')
}

/**
 * Reads two keys of the configuration alone: to stop must be possible while the rest of it is broken.
 * @throws CommandError when no socket is named
 */
export function stopPlace(
  { socket, config }: PlaceOptions,
  environment: Readonly<Record<string, string | undefined>>,
): StopPlace {
  if (socket !== undefined) {
    const path = resolve(socket)
    return { socket: path, file: beside(path), said: ` --socket ${socket}` }
  }
  const path = configPath(config, environment)
  const written = keysOf(path)
  const found = textAt(written, 'admin', 'socket')
  if (found === undefined) throw new CommandError(exit.config, `${path} opens no admin socket (admin.socket)`)
  const folder = dirname(resolve(path))
  const file = textAt(written, 'stop', 'file')
  const absolute = resolve(folder, found)
  return {
    socket: absolute,
    file: file === undefined ? beside(absolute) : resolve(folder, file),
    said: config === undefined ? '' : ` -c ${config}`,
  }
}

const beside = (socket: string) => join(dirname(socket), 'stops.jsonl')

function keysOf(path: string): unknown {
  try {
    // What cannot be understood of it is left out.
    return parseDocument(readFileSync(path, 'utf8'), { logLevel: 'silent' }).toJS()
  } catch {
    throw new CommandError(exit.noInput, `${path} cannot be read; name the admin socket with --socket`)
  }
}

function textAt(data: unknown, section: string, key: string): string | undefined {
  const value = member(member(data, section), key)
  return typeof value === 'string' && value !== '' ? value : undefined
}

function member(data: unknown, key: string): unknown {
  if (typeof data !== 'object' || data === null) return undefined
  return Object.entries(data).find(([name]) => name === key)?.[1]
}
