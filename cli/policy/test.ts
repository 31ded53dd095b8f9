// postern policy test: runs the cases that are kept beside the rules.
import { readdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { Command } from 'commander'
import { type Difference, runCase } from '../../policy/case.ts'
import type { CompiledPolicy } from '../../policy/compile.ts'
import { harmless, type Paint, paintFor } from '../../proxy/record/terminal-text.ts'
import { configPath } from '../config-path.ts'
import { CommandError, endWith, exit, usageExit } from '../exit.ts'
import { type PlacedCase, readCaseFile } from './case-file.ts'
import { configOption, exitCodes, loadPolicy, messageOf, readers } from './common.ts'

const testExamples = `
Examples:
  postern policy test -c postern.yaml                every *.cases.yaml in the same folder
  postern policy test -c postern.yaml crm.cases.yaml
  postern policy test -c postern.yaml --json | jq '.cases[] | select(.passed | not)'

A file of cases:
  cases:
    - name: the researcher reads contacts
      ask: { agent: spiffe://acme.example/researcher, url: https://api.crm.example/v1/contacts/7 }
      expect: { verdict: allow, rule: researcher-reads-contacts }

docs/policy.md has all its keys. ${exitCodes}`

interface TestOptions {
  readonly config?: string
  readonly json?: true
}

export function testCommand(): Command {
  return new Command('test')
    .description('Ask the rules what the cases ask, and compare.')
    .argument('[files...]', 'files of cases (default: every *.cases.yaml beside the configuration)')
    .option(...configOption)
    .option('--json', 'results for a program')
    .addHelpText('after', testExamples)
    .exitOverride(usageExit)
    .action((files: string[], options: TestOptions) => endWith(() => test(files, options)))
}

interface CaseResult {
  readonly file: string
  readonly line: number
  readonly name: string
  readonly passed: boolean
  readonly differences: readonly Difference[]
}

async function test(files: readonly string[], { config, json }: TestOptions): Promise<void> {
  const path = configPath(config, process.env)
  const policy = await loadPolicy(path)
  const cases = (files.length > 0 ? files : casesBeside(path)).flatMap(readCaseFile)
  const results = cases.map((placed) => run(policy, placed))
  const failed = results.filter(({ passed }) => !passed).length
  const summary = { version: policy.version, passed: results.length - failed, failed }
  const paint = paintFor(process.stdout.isTTY === true, process.env.NO_COLOR)
  console.log(json === true ? JSON.stringify({ ...summary, cases: results }) : report(results, summary, paint))
  if (failed > 0) process.exitCode = 1
}

function casesBeside(config: string): string[] {
  const folder = dirname(config)
  const found = readdirSync(folder).filter((name) => name.endsWith('.cases.yaml'))
  if (found.length === 0) {
    throw new CommandError(exit.noInput, `There is no *.cases.yaml beside ${config}. See postern policy test --help.`)
  }
  return found.sort().map((name) => join(folder, name))
}

function run(policy: CompiledPolicy, { file, line, policyCase }: PlacedCase): CaseResult {
  try {
    const differences = runCase(policy, policyCase, readers)
    return { file, line, name: policyCase.name, passed: differences.length === 0, differences }
  } catch (error) {
    throw new CommandError(exit.data, `${file}:${line}: ${harmless(policyCase.name)}: ${messageOf(error)}`)
  }
}

function report(results: readonly CaseResult[], summary: { passed: number; failed: number }, paint: Paint): string {
  const lines = results.flatMap(({ file, line, name, passed, differences }) => [
    `${passed ? paint('pass', 'green') : paint('FAIL', 'red')}  ${harmless(name)}${passed ? '' : `  (${file}:${line})`}`,
    ...differences.map(
      ({ key, expected, actual }) => `      ${key}: expected ${harmless(expected)}, found ${harmless(actual)}`,
    ),
  ])
  return [...lines, `${summary.passed} passed, ${summary.failed} failed`].join('\n')
}
