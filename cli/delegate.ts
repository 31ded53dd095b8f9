// postern delegate: hands a part of an agent's right on, to a command or to what this shell starts.
import { readFileSync } from 'node:fs'
import { Command, InvalidArgumentError, Option } from 'commander'
import { duration } from '../proxy/config/scalars.ts'
import { harmless } from '../proxy/record/terminal-text.ts'
import { constraintOf, type WrittenConstraint } from './delegate/constraint.ts'
import { askForDelegation, type Delegated, giveBack } from './delegate/door.ts'
import { type Asked, proxyToAsk, withHandle } from './delegate/proxy.ts'
import { runCommand, SignalRelay } from './exec/command.ts'
import { handedOnEnvironment, wayThrough } from './exec/environment.ts'
import { CommandError, endWith, exit, usageExit } from './exit.ts'

interface Options {
  readonly scope: readonly string[]
  readonly to?: string
  readonly constraint: readonly WrittenConstraint[]
  readonly ttl?: number
  readonly maxDepth?: number
  readonly narrow?: true
  readonly subjectTokenFile?: string
  readonly proxy?: string
  readonly bind?: 'parent' | 'id'
  readonly json?: true
}

const examples = `
Examples, below postern exec or with HTTPS_PROXY set to a proxy:
  postern delegate --scope crm.contacts.read --to spiffe://acme.example/planner/researcher -- python researcher.py
  postern delegate --scope crm.read --to spiffe://acme.example/helpers/a --constraint path:prefix=/v1/acme \\
      --constraint calls:max_lifetime=10 --ttl 2m -- ./helper
  eval "$(postern delegate --scope crm.contacts.read --to spiffe://acme.example/planner/shell)"
  postern delegate --scope crm.contacts.read --subject-token-file user.jwt --json | jq .chain

The command and what it starts act as --to, with these scopes and bounds and no more; when it ends, the delegation does.
Without a command the variables are printed, for the process that called this and what that starts (--bind parent).
The command's own exit code is passed on; 128 + n when signal n ended it; 126 and 127 when it could not be run.
Before it starts: 64 wrong usage, 66 no such file, 69 the proxy cannot be asked, 77 it refuses.`

export function delegateCommand(): Command {
  return (
    new Command('delegate')
      .description('Hand a part of this agent’s right on to a command, which then acts as a narrower agent.')
      .usage('[options] [--] [command] [arguments…]')
      .argument('[command]', 'program to run')
      .argument('[arguments...]', 'what to hand it')
      // Options behind the command's name are the command's.
      .passThroughOptions()
      .requiredOption(
        '--scope <scope>',
        'what it may do, such as crm.contacts.read or crm.*; may be repeated',
        also,
        [],
      )
      .option('--to <spiffe-id>', 'who gets it (default, at the root: this agent itself)')
      .option('--constraint <bound>', 'KEY:TYPE=VALUE, such as host:one_of=api.example; may be repeated', bound, [])
      .option('--ttl <duration>', 'how long it lasts at most, such as 90s or 10m', lifetime)
      .option('--max-depth <n>', 'how many agents may hold it one after the other, this and the root counted', depth)
      .option('--narrow', 'take what both have in common where more is asked than there is')
      .option('--subject-token-file <file>', 'token of the user on whose behalf; at the root')
      .option('--proxy <url>', 'http://… or unix:///path (default: what the environment says)')
      .addOption(
        new Option('--bind <how>', 'without a command: to the calling process, or to who proves the ID of --to')
          .choices(['parent', 'id'])
          .default(undefined, 'parent'),
      )
      .option('--json', 'without a command: everything that the proxy says, for programs')
      .addHelpText('after', examples)
      .exitOverride(usageExit)
      .action((file: string | undefined, argv: string[], options: Options) =>
        endWith(() => delegate(file, argv, options)),
      )
  )
}

async function delegate(file: string | undefined, argv: readonly string[], options: Options): Promise<void> {
  const asked = proxyToAsk(options.proxy, process.env)
  if (file === undefined)
    return print(asked, await askForDelegation(asked, wanted(options, options.bind ?? 'parent')), options)
  if (asked.kind === 'unix') {
    throw new CommandError(
      exit.usage,
      'Programs find no proxy on a UNIX socket. Leave the command out, and send the handle in Delegation-Ref.',
    )
  }
  for (const key of ['json', 'bind'] as const)
    if (options[key] !== undefined) throw new CommandError(exit.usage, `--${key} goes without a command only.`)
  // What is sent to us while the proxy is asked is for the command.
  const signals = new SignalRelay()
  const made = await askForDelegation(asked, wanted(options, 'process'))
  const variables = handedOnEnvironment(process.env, withHandle(asked.url, made.handle), asked.url)
  const code = await runCommand(file, argv, variables, signals).ended
  await giveBack(asked, made.jti)
  process.exit(code)
}

/** As the door wants it. */
function wanted(options: Options, bind: 'process' | 'parent' | 'id'): object {
  const { scope, to, constraint, ttl, maxDepth, narrow, subjectTokenFile } = options
  return {
    ...(to === undefined ? {} : { to }),
    scopes: scope,
    ...(constraint.length === 0 ? {} : { constraints: constraint }),
    ...(ttl === undefined ? {} : { ttl }),
    ...(maxDepth === undefined ? {} : { max_depth: maxDepth }),
    ...(narrow === true ? { narrow } : {}),
    ...(subjectTokenFile === undefined ? {} : { subject_token: readFileSync(subjectTokenFile, 'utf8').trim() }),
    bind,
  }
}

function print(asked: Asked, made: Delegated, { json }: Options): void {
  // By the way that we took ourselves; how the proxy sees its own address may be of no use here.
  const proxy = asked.kind === 'url' ? withHandle(asked.url, made.handle) : undefined
  console.log(json === true ? JSON.stringify({ ...made, proxy }) : forShell(made, proxy))
}

/** Read by `eval`, so that nothing in it may be taken for a command. */
function forShell(
  { holder, scopes, bound_to: boundTo, expires_at: until, handle }: Delegated,
  proxy: string | undefined,
) {
  const about = harmless(`# ${holder} with ${scopes.join(' ')} until ${until}; held by ${boundTo}`)
  const variables = proxy === undefined ? { DELEGATION_REF: handle } : wayThrough(proxy)
  const lines = Object.entries(variables).map(([name, value]) => `export ${name}='${value.replaceAll("'", `'\\''`)}'`)
  return [about, ...lines].join('\n')
}

const also = (value: string, before: readonly string[] = []): readonly string[] => [...before, value]

const bound = (text: string, before: readonly WrittenConstraint[] = []) => [...before, constraintOf(text)]

/** Whole seconds. */
function lifetime(text: string): number {
  const span = duration.safeParse(text)
  if (!span.success || span.data < 1_000 || span.data > 3_600_000)
    throw new InvalidArgumentError('Not a duration from 1s to 1h, such as 90s or 10m.')
  return Math.floor(span.data / 1_000)
}

function depth(text: string): number {
  if (!/^[1-8]$/.test(text)) throw new InvalidArgumentError('Not a number from 1 to 8.')
  return Number(text)
}
