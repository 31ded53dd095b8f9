// Records as the rows of a table, as wide as the terminal.
import { eventOf } from './events.ts'
import { shortAgent } from './filter.ts'
import type { AuditRecord } from './line.ts'
import { type Colour, harmless, type Paint, spanOfTime } from './terminal-text.ts'

export interface TableOptions {
  /** Columns of the terminal; undefined: nobody looks, so nothing is cut. */
  readonly width: number | undefined
  readonly paint: Paint
}

interface Column {
  readonly title: string
  readonly width: number
  readonly right?: true
  readonly cell: (record: AuditRecord) => string
}

export interface Table {
  readonly heading: string
  /** undefined for what has no row: intents, which the record of the outcome repeats, and checkpoints. */
  row(record: AuditRecord): string | undefined
}

const gap = 2

export function table({ width, paint }: TableOptions): Table {
  const columns = layout(width)
  const line = (cells: readonly string[]) =>
    columns
      .map(({ width: size, right }, index) => sized(cells[index] ?? '', size, right === true, width !== undefined))
      .join(' '.repeat(gap))
      .trimEnd()
  return {
    heading: paint(line(columns.map(({ title }) => title)), 'grey'),
    row(record) {
      if (record.kind === 'intent' || record.kind === 'checkpoint') return undefined
      const event = eventOf(record)
      if (event !== undefined) return paint(harmless(`${timeOf(width)(record)}  ${event.text}`), event.colour)
      const row = line(columns.map(({ cell }) => harmless(cell(record))))
      const colour = colourOf(record)
      return colour === undefined ? row : paint(row, colour)
    },
  }
}

/** The request gets what the others leave; under 130 columns the credential goes, under 100 the duration too. */
function layout(width: number | undefined): Column[] {
  const room = width ?? Number.POSITIVE_INFINITY
  const narrow = room < 100
  const before: Column[] = [
    { title: 'TIME', width: width === undefined ? 24 : 8, cell: timeOf(width) },
    { title: 'ID', width: 8, cell: ({ id }) => id.slice(-8) },
    { title: 'AGENT', width: narrow ? 10 : 14, cell: agentOf },
  ]
  const after: Column[] = [
    { title: 'ST', width: 3, cell: statusOf },
    { title: 'VERDICT', width: narrow ? 20 : 28, cell: verdictOf },
    ...(room < 130 ? [] : [{ title: 'CREDENTIAL', width: 16, cell: credentialOf }]),
    ...(narrow ? [] : [{ title: 'TOOK', width: 7, right: true as const, cell: tookOf }]),
  ]
  const taken = [...before, ...after].reduce((sum, column) => sum + column.width + gap, 0)
  const request = { title: 'REQUEST', width: width === undefined ? 48 : Math.max(16, width - taken), cell: requestOf }
  return [...before, request, ...after]
}

const timeOf =
  (width: number | undefined) =>
  ({ time }: AuditRecord) =>
    width === undefined ? time : clock(new Date(time))

const two = (value: number) => String(value).padStart(2, '0')

const clock = (date: Date) => `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`

const agentOf = ({ caller }: AuditRecord) => (caller === undefined ? '-' : shortAgent(caller.spiffe_id))

const tookOf = ({ ms }: AuditRecord) => (ms === undefined ? '' : spanOfTime(ms.total))

function statusOf({ response }: AuditRecord): string {
  return response?.status === undefined ? '-' : String(response.status)
}

export function requestOf({ kind, request, destination }: AuditRecord): string {
  const host = destination === undefined ? '?' : placeOf(destination)
  if (kind === 'connection' || request === undefined) return `(connection) ${host}`
  if (request.method === 'CONNECT') return `CONNECT ${host}`
  const keys = request.query_keys === undefined ? '' : `?${request.query_keys.join('&')}`
  return `${request.method} ${host}${request.path}${keys}`
}

function placeOf({ scheme, host, port }: NonNullable<AuditRecord['destination']>): string {
  const name = host.includes(':') ? `[${host}]` : host
  return port === undefined || port === (scheme === 'http' ? 80 : 443) ? name : `${name}:${port}`
}

const marks = { allowed: '✓', refused: '✗', failed: '!' } as const

function verdictOf({ outcome, refusal, decision, response, findings }: AuditRecord): string {
  const ending = outcome === 'failed' ? response?.ended : undefined
  // What matters more stands first, since the rest may be cut.
  const said = [refusal?.reason ?? ending, ...new Set(findings?.map(({ kind }) => kind)), decision?.rule]
  return `${outcome === undefined ? ' ' : marks[outcome]} ${said.filter((part) => part !== undefined).join(', ')}`
}

function credentialOf({ credential }: AuditRecord): string {
  if (credential === undefined) return '-'
  return credential.cache === undefined ? `${credential.name} (none)` : `${credential.name} (${credential.cache})`
}

/** Only what asks for attention has one. */
function colourOf({ outcome, findings }: AuditRecord): Colour | undefined {
  if (outcome === 'refused') return 'red'
  return outcome === 'failed' || findings !== undefined ? 'yellow' : undefined
}

function sized(text: string, width: number, right: boolean, cut: boolean): string {
  if (cut && text.length > width) return `${text.slice(0, width - 1)}…`
  return right ? text.padStart(width) : text.padEnd(width)
}
