// postern policy replay: what recorded requests would get under a policy that is not in force yet.
import { Command } from 'commander'
import { eachLine } from '../../proxy/record/audit/record-files.ts'
import { parseRecord } from '../../proxy/record/reader.ts'
import { paintFor } from '../../proxy/record/terminal-text.ts'
import { configPath } from '../config-path.ts'
import { endWith, usageExit } from '../exit.ts'
import { recordFile } from '../record-file.ts'
import { configOption, loadPolicy } from './common.ts'
import { Comparison } from './comparison.ts'
import { replayReport } from './replay-report.ts'

const replayExamples = `
Examples:
  postern policy replay -c candidate.yaml records.jsonl           what would change
  postern policy replay -c candidate.yaml /var/log/postern/records.jsonl* --list
  kubectl logs my-pod -c postern | postern policy replay -c candidate.yaml - --json | jq .counts

Records hold no header fields, and of a query the names alone: where a rule looks at one of them, what it would say is
not known, and counted apart. Limits, budgets, stops and the bounds of delegations are not replayed.
Exit codes: 0 nothing changes, 1 something does, 64 wrong usage, 66 no such file, 78 wrong configuration.`

interface ReplayOptions {
  readonly config?: string
  readonly list?: true
  readonly json?: true
}

export function replayCommand(): Command {
  return new Command('replay')
    .description('Ask the rules about requests that were recorded, and show what would be decided otherwise.')
    .argument('[files...]', 'files of records, gzip too; - for standard input (default: as for postern logs)')
    .option(...configOption)
    .option('--list', 'each sort of request that changes: who, what, then, now')
    .option('--json', 'the same for a program')
    .addHelpText('after', replayExamples)
    .exitOverride(usageExit)
    .action((files: string[], options: ReplayOptions) => endWith(() => replayRecords(files, options)))
}

async function replayRecords(files: readonly string[], { config, list, json }: ReplayOptions): Promise<void> {
  const path = configPath(config, process.env)
  const policy = await loadPolicy(path)
  const comparison = new Comparison(policy)
  let unreadable = 0
  for (const file of files.length > 0 ? files : [recordFile(undefined, path, process.env)]) {
    await eachLine(file, (line) => {
      if (line.length === 0 || isBeside(line)) return
      const record = parseRecord(line.toString())
      if (record === undefined) unreadable += 1
      else comparison.take(record)
    })
  }
  const { counts, ways, changes, untold } = comparison
  const paint = paintFor(process.stdout.isTTY === true, process.env.NO_COLOR)
  console.log(
    json === true
      ? JSON.stringify({ version: policy.version, counts, unreadable, ways, changes, untold })
      : replayReport(comparison, policy.version, list === true, paint).join('\n'),
  )
  if (unreadable > 0) console.error(`${unreadable} ${unreadable === 1 ? 'line is' : 'lines are'} no record.`)
  if (counts.denied + counts.allowed + counts.otherwise > 0) process.exitCode = 1
}

const beside = ['intent', 'checkpoint', 'delegation', 'stop'].map((kind) => Buffer.from(`"kind":"${kind}"`))
/** `kind` stands among the first members, right after time and id. */
const headLength = 160

/** Records of another kind need not be read in full, and there may be as many of them as requests. */
function isBeside(line: Buffer): boolean {
  const head = line.subarray(0, headLength)
  return beside.some((kind) => head.includes(kind))
}
