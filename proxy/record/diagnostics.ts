// What Postern tells its operator about itself: pino on standard error, apart from the records.
import { writeSync } from 'node:fs'
import pino, { type DestinationStream, type Logger } from 'pino'

export type Diagnostics = Logger

export const diagnosticLevels = ['debug', 'info', 'warn', 'error', 'silent'] as const

export interface DiagnosticsOptions {
  readonly level?: (typeof diagnosticLevels)[number]
  /** Lines for a person instead of JSON. */
  readonly readable?: boolean
  /** Takes lines; standard error by default. */
  readonly to?: DestinationStream
}

/** A Secret in a message or an object prints as its name; headers and bodies are never handed to it. */
export function diagnostics({
  level = 'info',
  readable = false,
  to = standardError,
}: DiagnosticsOptions = {}): Diagnostics {
  const options = {
    level,
    // No pid and host name: a container's collector knows them.
    base: null,
    timestamp: pino.stdTimeFunctions.isoTime,
    messageKey: 'message',
    formatters: { level: (label: string) => ({ level: label }) },
  }
  return pino(options, readable ? { write: (line) => to.write(forPerson(line)) } : to)
}

// At once, so that the last words of a process are not lost. When nobody reads them any more, it works on.
const standardError: DestinationStream = {
  write(line) {
    try {
      writeSync(2, line)
    } catch {
      return
    }
  },
}

const known = new Set(['level', 'time', 'message', 'err'])

function forPerson(line: string): string {
  const entry: Record<string, unknown> = JSON.parse(line)
  const time = String(entry.time).slice(11, 19)
  const rest = Object.entries(entry).flatMap(([key, value]) => (known.has(key) ? [] : [` ${key}=${plain(value)}`]))
  const error = isObject(entry.err) ? `: ${String(entry.err.message)}` : ''
  const level = entry.level === 'info' ? '' : `${String(entry.level)}: `
  return `${printable(`postern ${time} ${level}${entry.message ?? ''}${error}${rest.join('')}`)}\n`
}

const plain = (value: unknown) =>
  typeof value === 'string' && /^[\w./:@-]+$/.test(value) ? value : JSON.stringify(value)

const isObject = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null

/** Control characters would steer the terminal. */
const printable = (text: string) => text.replace(/[\x00-\x08\x0b-\x1f\x7f-\x9f]/g, '�')
