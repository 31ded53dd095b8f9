// postern capture: the rules by which everything that others send comes to the proxy, or nowhere.
import { Command, InvalidArgumentError, Option } from 'commander'
import { type Backend, RedirectError } from '../deploy/redirect/backend.ts'
import { chooseBackend, type ProgramName, programNames } from '../deploy/redirect/choose.ts'
import { difference } from '../deploy/redirect/difference.ts'
import { type Counter, counters } from '../deploy/redirect/nft-ruleset.ts'
import { checkPlan, type Plan, portRange } from '../deploy/redirect/plan.ts'
import { programsIn } from '../deploy/redirect/programs.ts'
import { type State, stateMetrics, stateOf } from '../deploy/redirect/state.ts'
import { redirectedPorts } from '../proxy/capture/redirected-ports.ts'
import { verifyCapture } from './capture/verify.ts'
import { CommandError, endWith, exit, usageExit } from './exit.ts'

interface ProgramOptions {
  readonly program?: ProgramName
}

interface InstallOptions extends ProgramOptions {
  readonly uid: number
  readonly port: number
  readonly dnsPort: number | false
  readonly inbound: boolean
  readonly dryRun?: true
}

const examples = `
Examples:
  postern capture install --uid 1337            everything but what user 1337 sends comes to 127.0.0.1:15001 and [::1]:15001
  postern capture install --uid 1337 --dry-run  the rules, and what would change
  postern capture verify --as 65534             the rules are as installed, and no way out past the proxy works
  postern capture status --json
  postern capture remove

Needs the capability NET_ADMIN in the network namespace that it is for, and nft or iptables.
Exit codes: 0 done, 1 verify found something, 64 wrong usage, 69 a program or a part of the kernel is missing,
70 the rules could not be put in place (those of before are), 77 a capability is missing.`

export function captureCommand(): Command {
  return new Command('capture')
    .description('Turn all that others send round to the proxy, in this network namespace.')
    .addHelpText('after', examples)
    .exitOverride(usageExit)
    .addCommand(installCommand())
    .addCommand(removeCommand())
    .addCommand(statusCommand())
    .addCommand(verifyCommand())
}

const program = () =>
  new Option('--program <name>', 'what talks to netfilter (default: nft, else iptables)').choices([...programNames])

function installCommand(): Command {
  return new Command('install')
    .description('Put the rules in force, all of them at once; does nothing where they are.')
    .requiredOption('--uid <number>', 'the user of the proxy, who alone reaches the network', numberUpTo(0xffff_fffe))
    .option(
      '--port <number>',
      `where the proxy takes redirected connections: the first of ${redirectedPorts} ports`,
      numberUpTo(65_535),
      15_001,
    )
    .option('--dns-port <number>', 'where the proxy answers DNS', numberUpTo(65_535), 15_053)
    .option('--no-dns-port', 'reject DNS like all other UDP')
    .option('--no-inbound', 'let nobody answer connections from outside')
    .addOption(program())
    .option('--dry-run', 'print the rules and what would change, and change nothing')
    .exitOverride(usageExit)
    .action((options: InstallOptions) => endWith(async () => redirecting(() => install(options))))
}

function removeCommand(): Command {
  return new Command('remove')
    .description('Take away what install made, and nothing else.')
    .addOption(program())
    .exitOverride(usageExit)
    .action((options: ProgramOptions) =>
      endWith(async () =>
        redirecting(() => {
          const backend = backendOf(options)
          const there = backend.inForce() !== undefined
          backend.remove()
          console.log(there ? 'The rules are gone: everybody reaches the network.' : 'There were no rules of ours.')
        }),
      ),
    )
}

function statusCommand(): Command {
  return new Command('status')
    .description('Say whether the rules are in force, and what they have counted.')
    .addOption(program())
    .option('--json', 'for programs')
    .option('--prometheus', 'as metrics, for a collector that reads files')
    .exitOverride(usageExit)
    .action((options: ProgramOptions & { json?: true; prometheus?: true }) =>
      endWith(async () =>
        redirecting(() => {
          const state = stateOf(backendOf(options))
          if (options.json === true) console.log(JSON.stringify(state))
          else if (options.prometheus === true) process.stdout.write(stateMetrics(state))
          else console.log(readable(state).join('\n'))
          if (state.rules !== 'in force') process.exitCode = 1
        }),
      ),
    )
}

function verifyCommand(): Command {
  return new Command('verify')
    .description('Prove that the rules are as installed, and that each known way out fails.')
    .option('--as <uid>', 'user to try as; not the one of the proxy', numberUpTo(0xffff_fffe), 65_534)
    .option('--attempts-only', 'only try, with no look at the rules; needs no capability')
    .addOption(program())
    .option('--json', 'for programs')
    .exitOverride(usageExit)
    .action((options: ProgramOptions & { as: number; attemptsOnly?: true; json?: true }) =>
      endWith(async () => {
        const state = options.attemptsOnly === true ? undefined : redirecting(() => stateOf(backendOf(options)))
        await verifyCapture(state, options.as, options.json === true)
      }),
    )
}

function install({ uid, port, dnsPort, inbound, dryRun, ...rest }: InstallOptions): void {
  const plan: Plan = { uid, port, ports: redirectedPorts, dnsPort: dnsPort === false ? undefined : dnsPort, inbound }
  const problem = checkPlan(plan)
  if (problem !== undefined) throw new CommandError(exit.usage, problem)
  const backend = backendOf(rest)
  if (dryRun === true) process.stdout.write(`${backend.script(plan)}\n`)
  const changes = difference(backend.inForce() ?? '', backend.expected(plan))
  if (dryRun === true) {
    console.log(changes.length === 0 ? 'Nothing would change.' : `What would change:\n${changes.join('\n')}`)
    return
  }
  if (changes.length > 0) backend.apply(plan)
  confirm(backend, plan)
  const done = changes.length === 0 ? 'The rules were in force already' : 'The rules are in force'
  console.log(
    `${done} (${backend.name}): only user ${uid} reaches the network, TCP of all others comes to ports ${portRange(plan)}.`,
  )
}

/** What the kernel was told is not yet what it does. */
function confirm(backend: Backend, plan: Plan): void {
  if (backend.inForce() !== backend.expected(plan))
    throw new RedirectError(
      'failed',
      'the rules that are in force are not those that were put there; see postern capture status',
    )
}

function readable({ rules, program: by, plan, changes, counts, escapeAttempts }: State): string[] {
  if (rules === 'none') return [`No rules of ours are in force (${by}): everybody reaches the network.`]
  const who =
    plan === undefined
      ? 'what they were made for cannot be told'
      : `user ${plan.uid} is exempt, TCP comes to ports ${portRange(plan)}, DNS to ${plan.dnsPort ?? 'nobody'}`
  return [
    `The rules are ${rules} (${by}): ${who}.`,
    ...changes.map((line) => `  ${line}`),
    ...(Object.keys(counters) as Counter[]).map(
      (name) => `  ${String(counts[name] ?? 0).padStart(8)}  ${counters[name]}`,
    ),
    `${escapeAttempts} packets tried to leave past the proxy.`,
  ]
}

const backendOf = ({ program: wanted }: ProgramOptions): Backend =>
  chooseBackend(programsIn(process.env.PATH ?? ''), wanted)

/** Runs something, with its failures as exit codes. */
function redirecting<Result>(run: () => Result): Result {
  if (process.platform !== 'linux') throw new CommandError(exit.unavailable, 'postern capture works on Linux only')
  try {
    return run()
  } catch (error) {
    if (!(error instanceof RedirectError)) throw error
    const codes = { permission: exit.refused, missing: exit.unavailable, failed: exit.software }
    throw new CommandError(codes[error.kind], `postern capture: ${error.message}`)
  }
}

function numberUpTo(most: number) {
  return (text: string): number => {
    const number = Number(text)
    if (!/^\d{1,10}$/.test(text) || number > most) throw new InvalidArgumentError(`Not a whole number up to ${most}.`)
    return number
  }
}
