// npm run fuzz: throws bred inputs at everything that reads bytes from outside, and tells what broke. `--help` tells the options.
import { readFileSync } from 'node:fs'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { writeCorpus, writeFailure } from './corpus.ts'
import { loadTarget, targetNames } from './targets.ts'
import { type Budget, fuzz, type Result } from './watch.ts'

const help = `npm run fuzz -- [TARGET…] [options]

  --target TARGET     the same as TARGET
  --list              the targets
  --seconds N         for each target (20)
  --inputs N          at most so many for each target
  --short             all targets in some 70 seconds altogether, as CI does
  --jobs N            targets at once (${availableParallelism()})
  --seed N            of the random numbers (the time)
  --keep              write the shortest inputs that reach everything to test/fuzz/corpus
  --failures FOLDER   where inputs that broke something are written
  --replay FILE       run one TARGET on this input alone
`

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    help: { type: 'boolean', default: false },
    target: { type: 'string', multiple: true, default: [] },
    list: { type: 'boolean', default: false },
    seconds: { type: 'string', default: '20' },
    inputs: { type: 'string', default: 'Infinity' },
    short: { type: 'boolean', default: false },
    jobs: { type: 'string', default: String(availableParallelism()) },
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
    keep: { type: 'boolean', default: false },
    failures: { type: 'string', default: join(tmpdir(), 'postern-fuzz') },
    replay: { type: 'string' },
  },
})

const known = targetNames()
const asked = [...positionals, ...values.target]
const names = asked.length > 0 ? asked : known
const stranger = names.find((name) => !known.includes(name))
if (stranger !== undefined) throw new Error(`there is no target ${stranger}; there are ${known.join(', ')}`)
if (values.help) console.log(help)
else if (values.list) console.log(known.join('\n'))
else if (values.replay !== undefined) await replay(names[0] ?? '', values.replay)
else process.exitCode = (await fuzzAll()) ? 0 : 1

async function replay(name: string, file: string): Promise<void> {
  const target = await loadTarget(name)
  await target.run(readFileSync(file))
  console.log(`${name}: this input does no harm`)
}

/** @returns whether all held */
async function fuzzAll(): Promise<boolean> {
  const jobs = number('jobs', values.jobs)
  // At least a minute of both cores, whatever the number of targets.
  const seconds = values.short ? (70 * jobs) / names.length : number('seconds', values.seconds)
  const budget: Budget = {
    time: seconds * 1_000,
    inputs: number('inputs', values.inputs),
    seed: number('seed', values.seed),
    distil: values.keep,
  }
  console.log(`${names.length} targets, ${jobs} at once, ${seconds.toFixed(1)} s each, seed ${budget.seed}\n`)
  console.log(row('target', 'inputs', 'a second', 'counted', 'blocks', 'kept', 'heap', 'crashes', 'hangs'))
  const started = performance.now()
  const waiting = [...names]
  const results: Result[] = []
  const work = async () => {
    for (let name = waiting.shift(); name !== undefined; name = waiting.shift()) {
      const result = await fuzz(name, budget)
      results.push(result)
      tell(result)
    }
  }
  await Promise.all(Array.from({ length: jobs }, work))
  const inputs = results.reduce((sum, result) => sum + result.inputs, 0)
  const failures = results.reduce((sum, result) => sum + result.failures.length, 0)
  const took = Math.round((performance.now() - started) / 1_000)
  console.log(`\n${inputs.toLocaleString('en')} inputs in ${took} s, ${failures} failures`)
  return failures === 0
}

function tell({ target, inputs, counted, took, blocks, kept, growth, failures, corpus }: Result): void {
  const rate = Math.round((inputs / took) * 1_000)
  const count = (kind: string) => String(failures.filter((failure) => failure.kind === kind).length)
  const heap = `${growth < 0 ? '' : '+'}${(growth / 1_048_576).toFixed(1)} MB`
  console.log(
    row(
      target,
      inputs.toLocaleString('en'),
      String(rate),
      counted.toLocaleString('en'),
      String(blocks),
      String(kept),
      heap,
      count('crash'),
      count('hang'),
    ),
  )
  for (const { kind, input, why } of failures) {
    const path = writeFailure(values.failures, target, kind, input)
    console.log(`\n${kind}: ${why.split('\n').slice(0, 12).join('\n')}\n  npm run fuzz -- ${target} --replay ${path}\n`)
  }
  if (values.keep) writeCorpus(target, corpus)
}

function row(target: string, ...columns: readonly string[]): string {
  return `${target.padEnd(18)}${columns.map((column) => column.padStart(12)).join('')}`
}

function number(name: string, text: string): number {
  const value = Number(text)
  if (!(value > 0)) throw new Error(`--${name} is no number above 0`)
  return value
}
