// Finds out where doctor stands: first all that takes the rights of whoever runs it, then those rights are given up where another user is to be tried.
import { RedirectError } from '../../deploy/redirect/backend.ts'
import { chooseBackend } from '../../deploy/redirect/choose.ts'
import { nowhere, tryEscapes } from '../../deploy/redirect/escapes.ts'
import { programsIn } from '../../deploy/redirect/programs.ts'
import { type State, stateOf } from '../../deploy/redirect/state.ts'
import { loadConfig } from '../../proxy/config/load.ts'
import { ConfigError } from '../../proxy/config/problems.ts'
import type { Config } from '../../proxy/config/schema.ts'
import { configPath } from '../config-path.ts'
import { proxyToAsk, proxyVariables } from '../delegate/proxy.ts'
import { CommandError, exit } from '../exit.ts'
import { recordFile } from '../record-file.ts'
import { type Answer, ask } from './answer.ts'
import { firstCall } from './first-call.ts'
import { listenerOwner } from './listener-owner.ts'
import { askDoor, messageOf } from './proxy.ts'
import { RecordTail } from './record-tail.ts'
import type { Door, Scene, Variables } from './scene.ts'

export interface Where {
  readonly config?: string
  readonly url?: URL
  readonly as?: number
  readonly mode?: 'transparent' | 'explicit'
  readonly metrics?: { readonly host: string; readonly port: number }
  readonly records?: string
  readonly request?: string
  readonly files?: readonly string[]
}

/** Where the injector has it. */
const usualMetrics = { host: '127.0.0.1', port: 15_920 } as const
/** Ports of redirected listeners, by `postern capture install` and by the injector. */
const usualPorts = [15_001, 15_006, 15_906]

/** @throws CommandError where what was named is not there */
export async function findScene(where: Where, environment: Variables, signal: AbortSignal): Promise<Scene> {
  const config = await configOf(where.config, environment)
  const rules = rulesHere(environment.PATH ?? '')
  const records = await recordsOf(where, environment)
  const ports = config?.listen.flatMap(({ accept, address }) =>
    accept === 'redirected' && address.kind === 'tcp' ? [address.port] : [],
  )
  const plan = typeof rules === 'string' ? undefined : rules.plan
  const proxyUid = plan?.uid ?? (await listenerOwner(ports ?? usualPorts))
  const borrowed = where.as !== undefined && where.as !== process.getuid?.()
  if (where.as !== undefined && borrowed) becomeUser(where.as)
  const uid = process.getuid?.()
  const proxy = where.mode === 'transparent' ? undefined : proxyNamed(environment)
  const mode = where.mode ?? (await modeHere(rules, proxy, ports))
  const isProxys = mode === 'none' || (mode === 'transparent' && uid === proxyUid)
  const url = where.url ?? (config === undefined ? undefined : firstCall(config, uid))
  const way = mode === 'transparent' ? undefined : proxy
  const within = (milliseconds: number) => AbortSignal.any([signal, AbortSignal.timeout(milliseconds)])
  return {
    environment,
    uid,
    borrowed,
    side: isProxys ? 'proxy' : 'agent',
    mode,
    proxy: way,
    rules,
    proxyUid,
    url,
    config,
    metrics: where.metrics ?? metricsOf(config) ?? usualMetrics,
    records,
    request: where.request,
    files: where.files,
    now: Date.now,
    door: once((): Promise<Door> => askDoor(way, nowhere.v4, within(5_000))),
    call: once((): Promise<Answer> => {
      if (url === undefined) throw new Error('no call is named')
      return ask(url, { proxy: way }, within(10_000))
    }),
  }
}

/** One that is named must be there; one that is merely where it usually is may be nobody's business here. */
async function configOf(named: string | undefined, environment: Variables): Promise<Config | undefined> {
  try {
    return await loadConfig(configPath(named, environment), environment)
  } catch (error) {
    if (named === undefined) return undefined
    throw error instanceof ConfigError ? new CommandError(exit.config, error.render()) : error
  }
}

function rulesHere(path: string): State | string {
  if (process.platform !== 'linux') return 'rules in the kernel are Linux only'
  try {
    return stateOf(chooseBackend(programsIn(path), undefined))
  } catch (error) {
    if (!(error instanceof RedirectError)) throw error
    return error.kind === 'permission'
      ? `user ${process.getuid?.()} may not read the rules; the lines escape-… prove what they do`
      : `the rules cannot be read here: ${error.message}`
  }
}

async function recordsOf({ records, config, request }: Where, environment: Variables): Promise<RecordTail | string> {
  let path: string
  try {
    path = recordFile(records, config, environment)
  } catch {
    return 'no file of records is known here (--records); at the proxy’s side, `postern why ID` tells of the call'
  }
  if (path === '-') return 'records are read from a file'
  try {
    return await RecordTail.open(path, request !== undefined)
  } catch (error) {
    if (records !== undefined) throw new CommandError(exit.noInput, `${path} cannot be read: ${messageOf(error)}.`)
    return `${path} cannot be read from here; at the proxy’s side, \`postern doctor --request ID\` looks the call up`
  }
}

/** @throws CommandError where it is none that can be asked */
function proxyNamed(environment: Variables): URL | undefined {
  if (!proxyVariables.some((name) => (environment[name] ?? '') !== '')) return undefined
  const asked = proxyToAsk(undefined, environment)
  if (asked.kind === 'url') return asked.url
  throw new CommandError(exit.usage, 'The environment names a proxy on a UNIX socket, which doctor does not ask.')
}

async function modeHere(
  rules: State | string,
  proxy: URL | undefined,
  ports: readonly number[] | undefined,
): Promise<Scene['mode']> {
  if (typeof rules !== 'string' && rules.rules !== 'none') return 'transparent'
  if (proxy !== undefined) {
    // Both may be: whoever accepts where nobody is, has redirected it.
    const [tried] = await tryEscapes(false, ['tcp'])
    return tried?.got === 'accepted by the proxy' ? 'transparent' : 'explicit'
  }
  // Elsewhere nothing redirects; here, a container without a word of a proxy should be walled.
  return process.platform !== 'linux' || ports?.length === 0 ? 'none' : 'transparent'
}

function metricsOf(config: Config | undefined): Scene['metrics'] | undefined {
  const address = config?.admin.metrics
  if (address === undefined) return undefined
  const { host, port } = address
  return { host: host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '::1' : host, port }
}

/** @throws CommandError without the right to */
function becomeUser(uid: number): void {
  try {
    process.setgroups?.([])
    process.setgid?.(uid)
    process.setuid?.(uid)
  } catch (error) {
    throw new CommandError(exit.refused, `--as ${uid} takes the right to become that user: ${messageOf(error)}.`)
  }
}

function once<T>(run: () => Promise<T>): () => Promise<T> {
  let result: Promise<T> | undefined
  return () => {
    result ??= run()
    return result
  }
}
