// postern run: the proxy as a service, until it is told to stop.
import { Command } from 'commander'
import { ConfigError } from '../proxy/config/problems.ts'
import { ConfigWatch } from '../proxy/config/watch.ts'
import { type Diagnostics, diagnosticLevels, diagnostics } from '../proxy/record/diagnostics.ts'
import { configPath } from './config-path.ts'
import { secretVariables } from './exec/environment.ts'
import { exit, usageExit } from './exit.ts'
import { expectNoMoreRights, expectRights, giveUpRights, rightsLeft } from './permissions.ts'
import { blankVariables, protectProcess } from './protect.ts'
import { type Gate, open } from './wire.ts'
import { releaseYoungGeneration } from './young-generation.ts'

interface Options {
  readonly config?: string
  readonly logLevel: (typeof diagnosticLevels)[number]
  readonly grace: string
}

const examples = `
Examples:
  postern run -c /etc/postern/postern.yaml
  postern run --log-level debug

Signals: HUP reads the configuration again and reopens the record file, TERM and INT drain and stop; a second one stops at once.
The configuration is also read again when its file changes. A bad one changes nothing and is reported.
Exit codes: 0 stopped when told to, 69 a listener or file cannot be opened, 78 the configuration is missing or wrong,
or Node.js was started with an option that lets others look into its memory.`

export function runCommand(): Command {
  return new Command('run')
    .description('Run the proxy as a service.')
    .option('-c, --config <file>', 'default: $POSTERN_CONFIG, ./postern.yaml, ~/.config/postern/postern.yaml')
    .option('--log-level <level>', diagnosticLevels.join(', '), 'info')
    .option('--grace <seconds>', 'how long exchanges may go on after TERM', '10')
    .addHelpText('after', examples)
    .exitOverride(usageExit)
    .action(async (options: Options) => {
      process.exitCode = await run(options).catch(told)
    })
}

async function run({ config, logLevel, grace }: Options): Promise<number> {
  // Before a secret is read.
  const { gap } = protectProcess()
  const log = diagnostics({ level: logLevel, readable: process.stderr.isTTY === true })
  // What nobody waited for has ended nothing: whatever depends on it has been refused.
  process.on('unhandledRejection', (error) => log.error({ err: error }, 'a failure that nobody expected'))
  if (gap !== undefined) log.warn({ gap }, 'the memory of this process is not closed to others')
  // What the kernel shows of the environment loses the secrets in it; this is what they are read from.
  const environment = { ...process.env }
  let gate: Gate | undefined
  let watch: ConfigWatch | undefined
  try {
    const file = configPath(config, environment)
    watch = await ConfigWatch.start({
      path: file,
      environment,
      onReload: (next) => {
        expectNoMoreRights(next)
        blankVariables(secretVariables(next))
        gate?.reload(next)
        log.info({ file }, 'the configuration is in use')
      },
      onFailure: (error) => {
        gate?.reloadFailed(error)
        log.error(
          { file, problem: error instanceof ConfigError ? error.render() : error.message },
          'the configuration is not in use; the one before stays',
        )
      },
    })
    const watching = watch
    const first = watch.current
    expectRights(first)
    blankVariables(secretVariables(first))
    gate = await open(first, { environment, log, file, reload: () => watching.reload() })
    // It may have changed while the house was being put together.
    if (watch.current !== first) gate.reload(watch.current)
    for (const [name, address] of gate.addresses) {
      log.info({ listener: name, ...address }, 'listening')
    }
    giveUpRights(first, watch.current)
    releaseYoungGeneration()
    log.info({ metricsPort: gate.metricsPort, permissions: rightsLeft() ?? 'off' }, 'ready')
    await untilTold(gate, watch, log, Number(grace) * 1_000)
    return exit.ok
  } catch (error) {
    watch?.close()
    return told(error)
  }
}

function told(error: unknown): number {
  if (error instanceof ConfigError) {
    process.stderr.write(error.render())
    return exit.config
  }
  console.error(`postern: ${error instanceof Error ? error.message : String(error)}`)
  return error instanceof Error && 'exitCode' in error && typeof error.exitCode === 'number'
    ? error.exitCode
    : exit.unavailable
}

function untilTold(gate: Gate, watch: ConfigWatch, log: Diagnostics, grace: number): Promise<void> {
  return new Promise((resolve) => {
    process.on('SIGHUP', () => {
      gate.reopenRecords()
      void watch.reload()
    })
    let stopping = false
    const stop = (signal: NodeJS.Signals) => {
      if (stopping) process.exit(exit.ok)
      stopping = true
      log.info({ signal }, 'stopping')
      watch.close()
      gate.close(`received ${signal}`, grace).then(resolve, (error: unknown) => {
        log.error({ err: error }, 'not everything could be closed')
        resolve()
      })
    }
    process.on('SIGTERM', stop).on('SIGINT', stop)
  })
}
