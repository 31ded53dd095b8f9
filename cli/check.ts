// postern check: what a configuration means, or what is wrong with it.
import { Command } from 'commander'
import { type Loaded, readConfig } from '../proxy/config/load.ts'
import { ConfigError, type Problem, printable, sentence } from '../proxy/config/problems.ts'
import { jsonSchema } from '../proxy/config/schema.ts'
import { summarize, summaryLines } from '../proxy/config/summary.ts'
import { warningsOf } from '../proxy/config/warnings.ts'
import { configPath } from './config-path.ts'
import { endWith, exit, usageExit } from './exit.ts'

interface Options {
  readonly json?: true
  readonly schema?: true
}

const examples = `
Examples:
  postern check postern.yaml             what it means, and what is worth a second look
  postern check --json | jq .problems    for programs: ok, summary and warnings, or problems
  postern check --schema > postern.schema.json
                                         then, in the first line of the file, for editors:
                                         # yaml-language-server: $schema=postern.schema.json

References such as \${env:NAME} and \${file:/path} must lead somewhere here and now; what they lead to is not shown.
Exit codes: 0 it can be used, 64 wrong usage, 66 no such file, 78 it is wrong.`

export function checkCommand(): Command {
  return new Command('check')
    .description('Say what a configuration means, or what is wrong with it.')
    .argument('[file]', 'default: $POSTERN_CONFIG, ./postern.yaml, ~/.config/postern/postern.yaml')
    .option('--json', 'for programs')
    .option('--schema', 'print the JSON Schema of the configuration instead')
    .addHelpText('after', examples)
    .exitOverride(usageExit)
    .action((file: string | undefined, options: Options) => endWith(() => check(file, options)))
}

async function check(given: string | undefined, { json, schema }: Options): Promise<void> {
  if (schema === true) return console.log(JSON.stringify(jsonSchema(), null, 2))
  const file = configPath(given, process.env)
  try {
    const loaded = await readConfig(file, process.env)
    const warnings = loaded.source.problems(warningsOf(loaded.config, process.env))
    if (json === true) tellPrograms({ ok: true, file, summary: summarize(loaded.config), warnings })
    else tellPeople(file, loaded, warnings)
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    process.exitCode = error.kind === 'unreadable' ? exit.noInput : exit.config
    if (json === true) tellPrograms({ ok: false, file, problems: error.problems })
    else process.stderr.write(error.render())
  }
}

const tellPrograms = (answer: object) => console.log(JSON.stringify(answer, null, 2))

function tellPeople(file: string, { config }: Loaded, warnings: readonly Problem[]): void {
  const lines = [`${file} can be used. It means:`, '', ...summaryLines(summarize(config))]
  if (warnings.length > 0) lines.push('', 'Worth a second look', ...warnings.map((warning) => `  ${sentence(warning)}`))
  console.log(lines.map(printable).join('\n'))
}
