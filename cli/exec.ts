// postern exec: runs a command that reaches its destinations, and their credentials, through the proxy alone.
import { createHash, randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Command } from 'commander'
import { writeTrustFiles } from '../certs/trust-files.ts'
import { loadConfig } from '../proxy/config/load.ts'
import { ConfigError } from '../proxy/config/problems.ts'
import type { Config } from '../proxy/config/schema.ts'
import { type KernelFacts, kernelFacts } from '../proxy/identify/kernel/facts.ts'
import { NamespaceAttestor } from '../proxy/identify/namespace.ts'
import { RUN_USER, RunTokenAttestor } from '../proxy/identify/run-token.ts'
import { diagnostics } from '../proxy/record/diagnostics.ts'
import { configPath } from './config-path.ts'
import { commandsAgent } from './exec/agent.ts'
import { type RunningCommand, runCommand, SignalRelay } from './exec/command.ts'
import { commandEnvironment, defaultNoProxy, secretVariables } from './exec/environment.ts'
import { exposedAbove } from './exec/exposed.ts'
import { checkLocalhost, localhostOption } from './exec/isolate/localhost.ts'
import { type Isolate, isolateOption, roomFor } from './exec/isolate/wanted.ts'
import { adoptOrphans } from './exec/orphans.ts'
import { execConfig, execListener, roomListeners } from './exec/settings.ts'
import { CommandError, exit, usageExit } from './exit.ts'
import { blankVariables, protectProcess } from './protect.ts'
import { type Gate, open } from './wire.ts'

interface Options {
  readonly config?: string
  readonly as?: string
  readonly records?: string
  readonly bypass?: string
  readonly keepEnv?: readonly string[]
  readonly dropEnv?: true
  readonly isolate: Isolate
  readonly localhost: readonly number[]
  readonly quiet?: true
  readonly verbose?: true
}

const examples = `
Examples:
  postern exec -- python agent.py
  postern exec -c team.yaml --as spiffe://acme.example/researcher -- npm start
  postern exec --keep-env GITHUB_TOKEN -- bash        a shell, to look around in
  postern exec --isolate=require -- java -jar agent.jar        walled in, or not at all
  postern exec --localhost 5432 -- python agent.py             walled in, but with the database of this machine
  postern exec --isolate=off -- npm run dev                    its own port is reached from outside
  postern exec --records /tmp/r.jsonl -- ./agent ; postern logs /tmp/r.jsonl

The command's own exit code is passed on; 128 + n when signal n ended it; 126 and 127 when it could not be run.
Before it starts: 64 wrong usage, 69 the proxy cannot be opened, or a required isolation cannot be had,
78 the configuration is missing or wrong, or Node.js was started with an option that lets others look into its memory.`

export function execCommand(): Command {
  return (
    new Command('exec')
      .description('Run a command that reaches the network with its credentials through the proxy.')
      .usage('[options] [--] <command> [arguments…]')
      .argument('<command>', 'program to run')
      .argument('[arguments...]', 'what to hand it')
      // Options behind the command's name are the command's.
      .passThroughOptions()
      .option('-c, --config <file>', 'default: $POSTERN_CONFIG, ./postern.yaml, ~/.config/postern/postern.yaml')
      .option('--as <spiffe-id>', 'whom the command is taken for (default: what the configuration says)')
      .option('--records <file>', 'where records go (default: what the configuration says; never standard output)')
      .option(
        '--bypass <hosts>',
        'hosts called directly, with commas (default: localhost,127.0.0.1 unless a destination names them; "" for none)',
      )
      .option(
        '--keep-env <name>',
        'hand on this variable although it looks like a credential (may be repeated)',
        also,
        [],
      )
      .option('--drop-env', 'leave out every other variable that looks like a credential')
      .addOption(isolateOption())
      .addOption(localhostOption())
      .option('-q, --quiet', 'do not say whether the command is walled in')
      .option('--verbose', 'tell what is set up, on standard error')
      .addHelpText('after', examples)
      .exitOverride(usageExit)
      .action(async (file: string, argv: string[], options: Options) => {
        // Nothing that the proxy leaves open may hold up the end of the command.
        process.exit(await run(file, argv, options).catch(failed))
      })
  )
}

const also = (value: string, before: readonly string[] = []): readonly string[] => [...before, value]

const say = (sentence: string): void => console.error(`postern: ${sentence}`)

function failed(error: unknown): number {
  if (error instanceof ConfigError) {
    process.stderr.write(error.render())
    return exit.config
  }
  say(error instanceof Error ? error.message : String(error))
  return error instanceof CommandError ? error.exitCode : exit.unavailable
}

/** @returns the exit code of the command */
async function run(file: string, argv: readonly string[], options: Options): Promise<number> {
  // First of all, before a secret is read.
  const { gap } = protectProcess()
  const environment = { ...process.env }
  const orphanage = adoptOrphans()
  const reaper = orphanage && process.pid
  // It takes as long as all the rest, on another core. What is wrong with the configuration is said first.
  const opening = roomFor(options, environment.PATH ?? '', reaper)
  opening.catch(() => {})
  const config = await loadConfig(configPath(options.config, environment), environment)
  const agent = commandsAgent(options.as, config)
  checkLocalhost(options.localhost, config)
  const secrets = secretVariables(config)
  blankVariables(secrets)

  const signals = new SignalRelay()
  const { room, sentence } = await opening
  if (sentence !== undefined && options.quiet !== true) say(sentence)
  // A room is not let into the processes outside, whoever's they are.
  if (room === undefined) warnOfGaps(secrets, gap)
  const facts = room?.facts ?? kernelFacts(reaper)
  if (room === undefined && facts.limit !== undefined)
    say(`only the token tells the command from its neighbours: ${facts.limit}.`)
  const token = randomBytes(32).toString('base64url')
  const tokenDigest = createHash('sha256').update(token).digest()
  let command: RunningCommand | undefined
  const rootPid = () => command?.pid()
  const attestor =
    room === undefined
      ? new RunTokenAttestor({ tokenDigest, agent, uid: process.getuid?.(), rootPid, facts })
      : new NamespaceAttestor({ tokenDigest, agent, rootPid, facts })

  const settings = execConfig(config, options.records, environment)
  const log = diagnostics({
    level: options.verbose === true ? 'info' : 'warn',
    readable: process.stderr.isTTY === true,
  })
  // What nobody waited for has ended nothing: whatever depends on it has been refused.
  process.on('unhandledRejection', (error) => log.error({ err: error }, 'a failure that nobody expected'))
  const gate = await open(settings, {
    environment,
    log,
    ...(room === undefined ? { listen: [execListener] } : { listen: roomListeners(room.servers), room }),
    // Commands side by side, each with a proxy of its own, have one file by default.
    sharedRecords: true,
    attestors: new Map([[attestor.name, attestor]]),
  })
  const folder = mkdtempSync(join(tmpdir(), 'postern-exec-'))
  try {
    const trust = await writeTrustFiles({ directory: folder, caPem: gate.caPem, inherited: environment })
    const { variables, suspects } = commandEnvironment({
      inherited: environment,
      secrets,
      keep: new Set(options.keepEnv ?? []),
      dropLookalikes: options.dropEnv === true,
      proxy: { ...addressOf(gate), user: RUN_USER, token },
      noProxy: options.bypass?.split(',').filter(Boolean) ?? defaultNoProxy(hostsIn(config)),
      trust: trust.environment,
      standIns: gate.standIns,
    })
    if (suspects.length > 0)
      say(`handed on, though it looks like a credential: ${suspects.join(', ')} (--drop-env, --keep-env).`)
    if (options.verbose === true) describe(agent, settings, facts, room !== undefined, variables)
    command = runCommand(file, argv, variables, signals, room?.enter)
    return await command.ended
  } finally {
    await gate.close('the command has ended')
    room?.close()
    rmSync(folder, { recursive: true, force: true })
    orphanage?.close()
    signals.close()
  }
}

/** A guard that has a gap says so. */
function warnOfGaps(secrets: ReadonlySet<string>, gap: string | undefined): void {
  if (gap !== undefined) say(`the command can read the memory of the proxy: ${gap}.`)
  for (const { pid, program, variables } of exposedAbove(secrets))
    say(
      `the command can read ${variables.join(', ')} in the environment of process ${pid} (${program}), which started it.`,
    )
}

function addressOf(gate: Gate): { host: string; port: number } {
  const address = gate.addresses.get(execListener.name)
  if (address?.kind !== 'tcp') throw new Error('the listener of exec has no port')
  return address
}

const hostsIn = ({ destinations }: Config): string[] => Object.values(destinations).flatMap(({ hosts }) => hosts)

function describe(
  agent: string,
  { records }: Config,
  { limit }: KernelFacts,
  isolated: boolean,
  variables: Readonly<Record<string, string>>,
): void {
  const proof = isolated ? 'its namespace' : 'its token'
  say(`the command is ${agent}, known by ${limit === undefined ? `${proof} and the kernel` : proof}.`)
  say(`records go to ${records.to}.`)
  say(`called directly: ${variables.NO_PROXY || 'nothing'}.`)
}
