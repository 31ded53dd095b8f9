// postern logs: the records, for people.
import { Command, InvalidArgumentError, Option } from 'commander'
import { duration } from '../proxy/config/scalars.ts'
import { filter } from '../proxy/record/filter.ts'
import type { AuditRecord } from '../proxy/record/line.ts'
import { ocsfOf } from '../proxy/record/ocsf.ts'
import { caughtUp, followFile, readFile, readStream } from '../proxy/record/reader.ts'
import { table } from '../proxy/record/table.ts'
import { paintFor } from '../proxy/record/terminal-text.ts'
import { reasons } from '../proxy/refusal.ts'
import { CommandError, endWith, exit, usageExit } from './exit.ts'
import { showChain } from './logs/chain.ts'
import { recordFile } from './record-file.ts'
import { version } from './version.ts'

interface Options {
  readonly chain?: string
  readonly config?: string
  readonly follow?: true
  readonly last?: number
  readonly agent?: string
  readonly host?: string
  readonly outcome?: 'allowed' | 'refused' | 'failed'
  readonly reason?: string
  readonly since?: number
  readonly json?: true
  readonly format?: 'table' | 'json' | 'ocsf'
}

const examples = `
Examples:
  postern logs                                  everything, from the file that postern.yaml names
  postern logs -f --outcome refused             what is being refused
  postern logs --agent 'researcher*' --since 10m
  postern logs --host '*.example.com' --json | jq .response.status
  postern logs -f --format ocsf                 as events of OCSF, one a line, for a SIEM
  postern logs --chain 94a51e26                 the tree of one transaction: handoffs, and what was done
  postern logs --chain 94a51e26 /var/log/postern/records.jsonl*
  kubectl logs my-pod -c postern | postern logs -

The ID in a row is the end of the request's id; postern why ID tells its story.
✓ allowed   ✗ refused   ! failed
Exit codes: 0, 64 wrong usage, 65 no such transaction or more than one, 66 no such file.`

export function logsCommand(): Command {
  return new Command('logs')
    .description('Show records as a table: filter, follow.')
    .argument(
      '[files...]',
      'file of records, several with --chain; - for standard input (default: $POSTERN_RECORDS, or what the configuration says)',
    )
    .option('-c, --config <file>', 'configuration that names the file (default: $POSTERN_CONFIG, or postern.yaml)')
    .option('-f, --follow', 'go on with what comes, also after a rotation')
    .option('-n, --last <count>', 'only the last ones', wholeNumber)
    .option('--agent <pattern>', 'SPIFFE ID or its last part; * stands for anything')
    .option('--host <pattern>', 'host; * stands for anything')
    .addOption(new Option('--outcome <outcome>', 'how it ended').choices(['allowed', 'refused', 'failed']))
    .option('--reason <reason>', 'reason of refusal (docs/reasons.md)', knownReason)
    .option('--since <time>', 'a duration such as 10m, or a time such as 2026-08-01T12:00Z', pointInTime)
    .option('--chain <txn>', 'the tree of one transaction, by its id or the beginning or end of it')
    .option('--json', 'the records as they are, one a line')
    .addOption(
      new Option('--format <format>', 'json is the same as --json; ocsf: events for a SIEM').choices([
        'table',
        'json',
        'ocsf',
      ]),
    )
    .addHelpText('after', examples)
    .exitOverride(usageExit)
    .action((files: string[], options: Options) =>
      endWith(() => (options.chain === undefined ? logs(files, options) : chain(options.chain, files, options))),
    )
}

/** What chooses among records, of which a tree has all or none. */
const choosing = ['follow', 'last', 'agent', 'host', 'outcome', 'reason', 'since', 'format'] as const

function chain(txn: string, files: readonly string[], options: Options): Promise<void> {
  const beside = choosing.find((name) => options[name] !== undefined)
  if (beside !== undefined) throw new CommandError(exit.usage, `--chain goes without --${beside}.`)
  const named = files.length > 0 ? files : [recordFile(undefined, options.config, process.env)]
  return showChain(txn, named, options.json === true)
}

async function logs([file, ...others]: readonly string[], options: Options): Promise<void> {
  if (others.length > 0) throw new CommandError(exit.usage, 'too many arguments: several files go with --chain only')
  const path = recordFile(file, options.config, process.env)
  const stop = new AbortController()
  // `| head` closes our output when it has enough.
  process.stdout.once('error', () => stop.abort())
  let unreadable = 0
  const reading = source(path, options, stop.signal, () => {
    unreadable += 1
  })
  await show(reading, options, stop.signal)
  if (unreadable > 0 && !stop.signal.aborted) {
    console.error(`${unreadable} ${unreadable === 1 ? 'line is' : 'lines are'} no record.`)
  }
}

function source(path: string, { follow }: Options, signal: AbortSignal, unreadable: () => void) {
  if (path === '-') return readStream(process.stdin, { unreadable })
  return follow === true ? followFile(path, { unreadable, signal, interval: 200 }) : readFile(path, { unreadable })
}

async function show(
  batches: AsyncIterable<AuditRecord[] | typeof caughtUp>,
  options: Options,
  signal: AbortSignal,
): Promise<void> {
  const wanted = filter(options)
  const { heading, line } = shape(options)
  let begun = heading === undefined
  const print = async (lines: readonly string[]) => {
    if (lines.length === 0) return
    await write(begun ? lines : [heading, ...lines])
    begun = true
  }
  // With --last, rows are held back until the end of what is there now.
  let held: string[] | undefined = options.last === undefined ? undefined : []
  for await (const batch of batches) {
    if (signal.aborted) return
    if (batch === caughtUp) {
      await print(held ?? [])
      held = undefined
      continue
    }
    const lines = batch.filter(wanted).flatMap((record) => line(record) ?? [])
    if (held === undefined) await print(lines)
    else held = [...held, ...lines].slice(-(options.last ?? 0))
  }
  await print(held ?? [])
}

function shape({ json, format }: Options) {
  if (format === 'ocsf') return { heading: undefined, line: ocsfLine }
  if (json === true || format === 'json')
    return { heading: undefined, line: (record: AuditRecord) => JSON.stringify(record) }
  const { isTTY, columns } = process.stdout
  const { heading, row } = table({
    width: isTTY ? columns : undefined,
    paint: paintFor(isTTY === true, process.env.NO_COLOR),
  })
  return { heading, line: row }
}

function ocsfLine(record: AuditRecord): string | undefined {
  const event = ocsfOf(record, version)
  return event === undefined ? undefined : JSON.stringify(event)
}

function write(lines: readonly (string | undefined)[]): Promise<void> {
  return new Promise((resolve) => process.stdout.write(`${lines.join('\n')}\n`, () => resolve()))
}

function wholeNumber(text: string): number {
  if (!/^[1-9]\d{0,8}$/.test(text)) throw new InvalidArgumentError('Not a whole number from 1.')
  return Number(text)
}

function knownReason(text: string): string {
  if (!Object.hasOwn(reasons, text))
    throw new InvalidArgumentError('There is no such reason; docs/reasons.md lists them.')
  return text
}

function pointInTime(text: string): number {
  const span = duration.safeParse(text)
  if (span.success) return Date.now() - span.data
  const time = Date.parse(text)
  if (Number.isNaN(time)) throw new InvalidArgumentError('Neither a duration such as 10m nor a time.')
  return time
}
