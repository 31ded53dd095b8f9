// postern injector: puts the proxy into the pods of a cluster, or shows what it would put.
import { readFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { hostname } from 'node:os'
import { text } from 'node:stream/consumers'
import { styleText } from 'node:util'
import { Command } from 'commander'
import { parse } from 'yaml'
import * as z from 'zod'
import { openInjector } from '../deploy/injector/injector.ts'
import { KubeClient } from '../deploy/injector/kube-client.ts'
import { refusalMessage } from '../deploy/injector/refusal.ts'
import { type RenderedPod, render } from '../deploy/injector/render.ts'
import { type InjectorSettings, injectorSettingsSchema } from '../deploy/injector/settings.ts'
import { type Diagnostics, diagnosticLevels, diagnostics } from '../proxy/record/diagnostics.ts'
import { CommandError, endWith, exit, usageExit } from './exit.ts'

const renderExamples = `
Examples:
  postern injector render -f deployment.yaml --namespace-labels postern.dev/mode=explicit
  kubectl get deploy agent -o yaml | postern injector render -f - --quiet | kubectl diff -f -

The namespace counts as labelled postern.dev/inject=enabled unless --namespace-labels says otherwise.
The documents go to standard output, what differs and what was refused to standard error.
Exit codes: 0, 64 wrong usage, 65 a pod is refused or the file is no YAML, 66 no such file, 78 wrong settings.`

const runExamples = `
Example, in a pod:
  postern injector run -c /etc/postern-injector/injector.yaml

The API server is the one that every pod is told of, with the token of this pod.
Signals: TERM and INT drain and stop; a second one stops at once.
Exit codes: 0 stopped when told to, 69 a listener cannot be opened or there is no cluster, 78 wrong settings.`

export function injectorCommand(): Command {
  return new Command('injector')
    .description('Put the proxy into pods: an admission webhook for Kubernetes.')
    .exitOverride(usageExit)
    .addCommand(runCommand())
    .addCommand(renderCommand())
}

interface RunOptions {
  readonly config?: string
  readonly logLevel: (typeof diagnosticLevels)[number]
  readonly linger: string
  readonly grace: string
}

function runCommand(): Command {
  return new Command('run')
    .description('Run the webhook as a service.')
    .option('-c, --config <file>', 'settings of the injector (default: all defaults)')
    .option('--log-level <level>', diagnosticLevels.join(', '), 'info')
    .option(
      '--linger <seconds>',
      'how long after TERM reviews are still taken, until the API server comes no more',
      '5',
    )
    .option('--grace <seconds>', 'how long those under way may go on after that', '10')
    .addHelpText('after', runExamples)
    .exitOverride(usageExit)
    .action((options: RunOptions) => endWith(() => run(options)))
}

interface RenderOptions {
  readonly file: string
  readonly config?: string
  readonly namespace: string
  readonly namespaceLabels: string
  readonly namespaceAnnotations: string
  readonly quiet?: true
}

function renderCommand(): Command {
  return new Command('render')
    .description('Show what the webhook would make of pods, without a cluster.')
    .requiredOption('-f, --file <file>', 'pods, or what makes pods (Deployment, Job, …); - for standard input')
    .option('-c, --config <file>', 'settings of the injector (default: all defaults)')
    .option('-n, --namespace <name>', 'of those that name none', 'default')
    .option('--namespace-labels <labels>', 'of the namespace: key=value, separated by commas', '')
    .option('--namespace-annotations <annotations>', 'of the namespace: key=value, separated by semicolons', '')
    .option('-q, --quiet', 'do not show what differs')
    .addHelpText('after', renderExamples)
    .exitOverride(usageExit)
    .action((options: RenderOptions) => endWith(() => renderFile(options)))
}

async function renderFile(options: RenderOptions): Promise<void> {
  const settings = await loadSettings(options.config)
  const content = options.file === '-' ? await text(process.stdin) : await readFile(options.file, 'utf8')
  const namespace = {
    name: options.namespace,
    labels: { 'postern.dev/inject': 'enabled', ...pairs(options.namespaceLabels, ',') },
    annotations: pairs(options.namespaceAnnotations, ';'),
  }
  const { yaml, pods } = attempt(exit.data, () => render(content, namespace, settings))
  process.stdout.write(yaml)
  if (pods.length === 0) console.error(`${options.file} holds no pods and nothing that makes pods.`)
  for (const pod of pods) tell(pod, options.quiet === true)
  if (pods.some(({ refusals }) => refusals.length > 0)) process.exitCode = exit.data
}

function tell({ called, diff, warnings, refusals, skipped }: RenderedPod, quiet: boolean): void {
  if (refusals.length > 0) {
    console.error(`${called}: ${refusalMessage(refusals).replaceAll(' | ', '\n  ')}`)
    return
  }
  if (skipped !== undefined) {
    console.error(`${called}: left as it is (${skipped})`)
    return
  }
  for (const warning of warnings) console.error(`${called}: ${warning}`)
  if (quiet) return
  console.error(`${called}:${diff.length === 0 ? ' nothing to change' : ''}`)
  for (const line of diff) console.error(coloured(line))
}

function coloured(line: string): string {
  const colour = line.startsWith('+') ? 'green' : line.startsWith('-') ? 'red' : undefined
  return colour === undefined ? line : styleText(colour, line, { stream: process.stderr })
}

function pairs(given: string, separator: string): Record<string, string> {
  const entries = given.split(separator).flatMap((pair) => {
    if (pair.trim() === '') return []
    const at = pair.indexOf('=')
    if (at < 1) throw new CommandError(exit.usage, `${pair} is not key=value`)
    return [[pair.slice(0, at).trim(), pair.slice(at + 1).trim()] as const]
  })
  return Object.fromEntries(entries)
}

async function loadSettings(file: string | undefined): Promise<InjectorSettings> {
  const written: unknown = file === undefined ? {} : (parse(await readFile(file, 'utf8')) ?? {})
  const read = injectorSettingsSchema.safeParse(written)
  if (read.success) return read.data
  throw new CommandError(exit.config, `${file ?? 'settings'}:\n${z.prettifyError(read.error)}`)
}

function attempt<T>(code: number, work: () => T): T {
  try {
    return work()
  } catch (error) {
    throw new CommandError(code, error instanceof Error ? error.message : String(error))
  }
}

async function run({ config, logLevel, linger, grace }: RunOptions): Promise<void> {
  const log = diagnostics({ level: logLevel, readable: process.stderr.isTTY === true })
  const settings = await loadSettings(config)
  const injector = await openInjector(settings, {
    client: clusterClient(process.env),
    identity: hostname(),
    now: Date.now,
    onProblem: (problem) => log.error({ err: problem }, 'something is amiss'),
  }).catch((error: unknown) => {
    throw new CommandError(exit.unavailable, error instanceof Error ? error.message : String(error))
  })
  log.info({ port: injector.port, metricsPort: injector.metricsPort }, 'listening')
  await untilTold(log)
  await injector.close(Number(linger) * 1_000, Number(grace) * 1_000)
}

/** Every pod is told where the API server is, and given a token for it. */
function clusterClient(environment: Readonly<Record<string, string | undefined>>): KubeClient {
  const { KUBERNETES_SERVICE_HOST: host, KUBERNETES_SERVICE_PORT: port = '443' } = environment
  if (host === undefined)
    throw new CommandError(exit.unavailable, 'This is no pod of a cluster: try `postern injector render`.')
  const folder = environment.POSTERN_SERVICE_ACCOUNT ?? '/var/run/secrets/kubernetes.io/serviceaccount'
  const ca = readFileSync(`${folder}/ca.crt`, 'utf8')
  return new KubeClient({ host, port: Number(port), ca, tokenFile: `${folder}/token` })
}

function untilTold(log: Diagnostics): Promise<void> {
  return new Promise((resolve) => {
    let stopping = false
    const stop = (signal: NodeJS.Signals) => {
      if (stopping) process.exit(exit.ok)
      stopping = true
      log.info({ signal }, 'stopping')
      resolve()
    }
    process.on('SIGTERM', stop).on('SIGINT', stop)
  })
}
