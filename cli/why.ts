// postern why: the story of one request.
import { Command } from 'commander'
import { explain } from '../proxy/record/explain.ts'
import type { AuditRecord } from '../proxy/record/line.ts'
import { readFile, readStream } from '../proxy/record/reader.ts'
import { harmless, paintFor } from '../proxy/record/terminal-text.ts'
import { CommandError, endWith, exit, usageExit } from './exit.ts'
import { recordFile } from './record-file.ts'

interface Options {
  readonly config?: string
  readonly records?: string
  readonly json?: true
}

const examples = `
Examples:
  postern why 019b2c3d-4e5f-7a6b-8c7d-9e0f1a2b3c4d     the id that the agent was told
  postern why 1a2b3c4d                                 its end, as postern logs shows it
  postern why 019b2c3d-4e5f --records /var/log/postern/records.jsonl
  kubectl logs my-pod -c postern | postern why 1a2b3c4d --records -

Exit codes: 0, 64 wrong usage, 65 no such id or more than one, 66 no such file.`

export function whyCommand(): Command {
  return new Command('why')
    .description('Tell the story of one request: who called, what decided, which credential, what to do next.')
    .argument('<id>', 'its id, or the beginning or end of it')
    .option('-r, --records <file>', 'file of records; - for standard input (default: as for postern logs)')
    .option('-c, --config <file>', 'configuration that names the file (default: $POSTERN_CONFIG, or postern.yaml)')
    .option('--json', 'the record as it is')
    .addHelpText('after', examples)
    .exitOverride(usageExit)
    .action((id: string, options: Options) => endWith(() => why(id, options)))
}

async function why(id: string, { records, config, json }: Options): Promise<void> {
  if (!/^[0-9a-f-]{4,36}$/i.test(id))
    throw new CommandError(exit.usage, 'An id has hexadecimal digits and dashes, at least 4.')
  const record = await find(id.toLowerCase(), recordFile(records, config, process.env))
  const paint = paintFor(process.stdout.isTTY === true, process.env.NO_COLOR)
  console.log(json === true ? JSON.stringify(record) : explain(record, paint).join('\n'))
}

async function find(id: string, path: string): Promise<AuditRecord> {
  const found = new Map<string, AuditRecord>()
  const options = { unreadable: () => {} }
  for await (const batch of path === '-' ? readStream(process.stdin, options) : readFile(path, options)) {
    for (const record of batch) {
      if (!record.id.startsWith(id) && !record.id.endsWith(id)) continue
      // The outcome says more than the intent before it.
      if (record.kind !== 'intent' || !found.has(record.id)) found.set(record.id, record)
    }
  }
  const [record, ...others] = found.values()
  if (record === undefined) throw new CommandError(exit.data, `No record in ${path} has the id ${id}.`)
  if (others.length === 0) return record
  const some = [record, ...others].slice(0, 5).map((each) => `  ${harmless(`${each.id}  ${each.time}`)}`)
  throw new CommandError(
    exit.data,
    `${found.size} records have an id with ${id}; write more of it:\n${some.join('\n')}`,
  )
}
