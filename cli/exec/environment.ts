// The environment of the command: the way through the proxy is put in, the secrets that the proxy reads are left out.

type Variables = Readonly<Record<string, string | undefined>>

export interface EnvironmentOptions {
  readonly inherited: Variables
  /** Variables that the configuration reads secrets from; never handed on. */
  readonly secrets: ReadonlySet<string>
  /** Variables that look like credentials and are meant to be handed on. */
  readonly keep: ReadonlySet<string>
  /** Leave out every other variable that looks like a credential. */
  readonly dropLookalikes: boolean
  /** Where the proxy listens, and the token of this run. */
  readonly proxy: { readonly host: string; readonly port: number; readonly user: string; readonly token: string }
  /** Hosts that are called directly. */
  readonly noProxy: readonly string[]
  /** What makes the runtimes trust the proxy's authority. */
  readonly trust: Variables
  readonly standIns: readonly { readonly variable: string; readonly value: string }[]
}

export interface CommandEnvironment {
  readonly variables: Record<string, string>
  /** Names of variables that look like credentials and are handed on although nobody asked for it. */
  readonly suspects: readonly string[]
}

/** Which hosts are called directly. */
const exceptions = ['no_proxy', 'no_grpc_proxy', 'npm_config_noproxy']

/** Every variable, in lower case, by which a client finds a proxy. */
const ways = [
  ...['http_proxy', 'https_proxy', 'all_proxy', 'ftp_proxy', 'socks_proxy', 'rsync_proxy', 'grpc_proxy'],
  ...['npm_config_proxy', 'npm_config_http_proxy', 'npm_config_https_proxy'],
  ...['yarn_http_proxy', 'yarn_https_proxy', 'cargo_http_proxy', 'pip_proxy'],
]

/** Every variable, in either case, that would lead a client round our proxy or past it. */
const proxyVariables = new Set([...ways, ...exceptions])
const wayVariables = new Set(ways)

/** Names of variables that hold a credential. */
export const lookalike =
  /(^|_)(token|api_?key|secret|secret_?key|access_?key|private_?key|auth_?key|password|passwd|credentials?)$/i

export function commandEnvironment(options: EnvironmentOptions): CommandEnvironment {
  const { inherited, secrets, keep, dropLookalikes, trust, standIns } = options
  const variables: Record<string, string> = {}
  const suspects: string[] = []
  const replaced = new Set(standIns.map(({ variable }) => variable))
  for (const [name, value] of Object.entries(inherited)) {
    if (value === undefined || secrets.has(name) || proxyVariables.has(name.toLowerCase())) continue
    const suspect = value !== '' && lookalike.test(name) && !keep.has(name) && !replaced.has(name)
    if (suspect && dropLookalikes) continue
    if (suspect) suspects.push(name)
    variables[name] = value
  }
  const { JAVA_TOOL_OPTIONS: javaTrust, ...otherTrust } = trust
  for (const [name, value] of Object.entries({ ...otherTrust, ...proxySettings(options) }))
    if (value !== undefined) variables[name] = value
  variables.JAVA_TOOL_OPTIONS = [inherited.JAVA_TOOL_OPTIONS, javaTrust, javaProxy(options)].filter(Boolean).join(' ')
  for (const { variable, value } of standIns) variables[variable] = value
  return { variables, suspects }
}

function proxySettings({ proxy, noProxy }: EnvironmentOptions): Record<string, string> {
  const settings = wayThrough(`http://${proxy.user}:${proxy.token}@${proxy.host}:${proxy.port}`)
  settings.no_proxy = settings.NO_PROXY = noProxy.join(',')
  return settings
}

/** The variables that lead clients through the proxy of this URL. */
export function wayThrough(url: string): Record<string, string> {
  const settings: Record<string, string> = {
    // Node reads the variables of the others only with this one.
    NODE_USE_ENV_PROXY: '1',
  }
  // curl reads http_proxy in lower case only, others read capitals only.
  for (const name of ['http_proxy', 'https_proxy', 'all_proxy']) settings[name] = settings[name.toUpperCase()] = url
  return settings
}

/**
 * The environment of a command that is led through the proxy by another URL than we are: what is called directly and who
 * is trusted stay as they are; nothing carries the password of our own URL on.
 * @param own the URL by which we are led; undefined: none
 */
export function handedOnEnvironment(inherited: Variables, url: string, own: URL | undefined): Record<string, string> {
  const password = own?.password ?? ''
  const variables: Record<string, string> = {}
  for (const [name, value] of Object.entries(inherited)) {
    if (value === undefined || wayVariables.has(name.toLowerCase())) continue
    if (password !== '' && value.includes(password)) continue
    variables[name] = value
  }
  return { ...variables, ...wayThrough(url) }
}

/**
 * Java reads no such variables. It sends the token only where the program sets an Authenticator, and through CONNECT
 * only when Basic is not disabled there, which it is by default.
 */
function javaProxy({ proxy, noProxy }: EnvironmentOptions): string {
  const settings = ['http', 'https'].flatMap((scheme) => [
    `-D${scheme}.proxyHost=${proxy.host}`,
    `-D${scheme}.proxyPort=${proxy.port}`,
  ])
  return [...settings, `-Dhttp.nonProxyHosts=${noProxy.join('|')}`, '-Djdk.http.auth.tunneling.disabledSchemes='].join(
    ' ',
  )
}

/**
 * Services on this machine are called directly, as clients expect, except those that the configuration names: they are
 * to be guarded. `::1` is left out, since some clients cannot read it there.
 */
export function defaultNoProxy(hosts: Iterable<string>): string[] {
  const named = new Set(hosts)
  return ['localhost', '127.0.0.1'].filter((host) => !named.has(host))
}

/**
 * The variables that a configuration reads secrets from, wherever in it they are named: `${env:NAME}`, credentials of
 * kind `env`, and what looks like a credential among those that a credential of kind `exec` passes to its command.
 */
export function secretVariables(config: unknown): Set<string> {
  const names = new Set<string>()
  const seen = new Set<unknown>()
  const collect = (value: unknown): void => {
    if (typeof value !== 'object' || value === null || seen.has(value)) return
    seen.add(value)
    for (const name of namedIn(value)) names.add(name)
    for (const part of value instanceof Map ? value.values() : Object.values(value)) collect(part)
  }
  collect(config)
  return names
}

function namedIn(value: object): string[] {
  if ('from' in value && value.from === 'env' && 'name' in value) return [value.name].filter(isText)
  if (!('kind' in value)) return []
  if (value.kind === 'env' && 'variable' in value) return [value.variable].filter(isText)
  if (value.kind === 'exec' && 'pass' in value && Array.isArray(value.pass))
    return value.pass.filter(isText).filter((name) => lookalike.test(name))
  return []
}

const isText = (value: unknown): value is string => typeof value === 'string'
