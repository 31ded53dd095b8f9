// postern status and postern reload: ask a running proxy over its admin socket.
import { resolve } from 'node:path'
import { Command } from 'commander'
import { loadConfig } from '../proxy/config/load.ts'
import { askReload, askStatus } from '../proxy/record/admin-client.ts'
import type { AdminStatus } from '../proxy/record/admin-protocol.ts'
import { configPath } from './config-path.ts'
import { CommandError, endWith, exit, usageExit } from './exit.ts'
import { federatedLine } from './federated.ts'

interface Options {
  readonly socket?: string
  readonly config?: string
  readonly json?: true
}

const examples = (name: string) => `
Examples:
  postern ${name} --socket /run/postern/admin.sock
  postern ${name} -c /etc/postern/postern.yaml

The socket is \`admin.socket\` of the configuration, or what --socket says. It answers its own user and root.`

export function statusCommand(): Command {
  return asking('status', 'Say how a running proxy is: ready or not, which policy, whether records can be written.')
    .addHelpText('after', `${examples('status')}\nExit codes: 0 ready, 1 not ready, 69 nobody answers.`)
    .action((options: Options) =>
      endWith(async () => {
        const status = await asked(options, askStatus)
        console.log(options.json === true ? JSON.stringify(status) : readable(status))
        if (!status.ready) process.exitCode = 1
      }),
    )
}

export function reloadCommand(): Command {
  return asking('reload', 'Let a running proxy read its configuration again. A bad one changes nothing.')
    .addHelpText(
      'after',
      `${examples('reload')}\nExit codes: 0 in use, 78 the configuration is not in use, 69 nobody answers.`,
    )
    .action((options: Options) =>
      endWith(async () => {
        const answer = await asked(options, askReload)
        if (options.json === true) console.log(JSON.stringify(answer))
        else if (answer.reloaded) console.log(`in use: policy ${answer.policy_version}`)
        if (answer.reloaded) return
        throw new CommandError(exit.config, `not in use, the one before stays:\n${answer.errors.join('\n')}`)
      }),
    )
}

function asking(name: string, description: string): Command {
  return new Command(name)
    .description(description)
    .option('--socket <path>', 'admin socket of the proxy')
    .option('-c, --config <file>', 'configuration that names the socket (default: as for postern run)')
    .option('--json', 'for programs')
    .exitOverride(usageExit)
}

async function asked<T>(options: Options, ask: (socket: string) => Promise<T>): Promise<T> {
  const socket = options.socket === undefined ? await configured(options.config) : resolve(options.socket)
  try {
    return await ask(socket)
  } catch (error) {
    throw new CommandError(exit.unavailable, error instanceof Error ? error.message : String(error))
  }
}

async function configured(config: string | undefined): Promise<string> {
  const file = configPath(config, process.env)
  const { socket } = (await loadConfig(file, process.env)).admin
  if (socket === undefined) throw new CommandError(exit.config, `${file} opens no admin socket (admin.socket)`)
  return socket
}

function readable({
  version,
  pid,
  started_at,
  ready,
  reasons,
  policy_version,
  config,
  records,
  connections,
  federation = [],
  budgets = [],
  permissions,
  stops,
}: AdminStatus): string {
  const lines = [
    `postern ${version}, process ${pid}, since ${started_at}`,
    ready ? 'ready' : `not ready: ${reasons.map(({ check, why }) => `${check}: ${why}`).join('; ')}`,
    `policy ${policy_version}${config.file === undefined ? '' : ` of ${config.file}`}, loaded ${config.loaded_at}`,
    `records to ${records.to}${records.healthy ? '' : ', which cannot be written'}`,
    lastRecord(records),
    `${connections} ${connections === 1 ? 'connection' : 'connections'} open`,
    `Node’s permission model ${permissions === undefined ? 'is off' : `leaves it ${permissions.join(', ')}`}`,
  ]
  if (stops !== undefined) lines.push(...stopLines(stops))
  lines.push(...federation.map(federatedLine))
  lines.push(...budgets.map(budgetLine))
  if (config.error !== undefined) lines.push(`the newest configuration is not in use:\n${config.error}`)
  return lines.join('\n')
}

function lastRecord({ seq, head, checkpoint }: AdminStatus['records']): string {
  if (seq === 0) return 'no record yet'
  return `record ${seq} is the last${checkpoint === undefined ? '' : `, signed up to ${checkpoint}`}: ${head}`
}

function budgetLine({ name, accounts, used }: NonNullable<AdminStatus['budgets']>[number]): string {
  if (accounts === 0) return `budget ${name}: nothing is used in this window`
  return `budget ${name}: ${accounts === 1 ? 'one has' : `of ${accounts} the fullest has`} used ${Math.round(used * 100)} %`
}

function stopLines({ active, unwritten, feed }: NonNullable<AdminStatus['stops']>): string[] {
  const lines: string[] = []
  if (active > 0) lines.push(`${active} ${active === 1 ? 'stop' : 'stops'} in force; postern kills lists them`)
  if (unwritten > 0) lines.push(`${unwritten} of orders and lifts cannot be written down; they end with the process`)
  if (feed?.stale === true) lines.push('the feed of stops is stale, so delegated requests are refused')
  return lines
}
