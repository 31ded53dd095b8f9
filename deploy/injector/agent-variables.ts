// The environment of the containers of others: whom to trust, and in explicit mode where the proxy is.
import { javaPassword } from '../../certs/trust/java-truststore.ts'
import { appending, replacing } from '../../certs/trust/variables.ts'
import type { Mode } from './mode.ts'
import type { Variable } from './pod.ts'
import type { InjectorSettings } from './settings.ts'

/** Holds options of others for Java when they come from a ConfigMap or Secret, so that ours can be put behind them. */
const javaOfOthers = 'POSTERN_OTHER_JAVA_TOOL_OPTIONS'
const java = 'JAVA_TOOL_OPTIONS'

/** Would lead round the proxy where something reads them before the usual ones. */
const otherProxies = new Set([
  ...['grpc_proxy', 'no_grpc_proxy', 'ftp_proxy', 'socks_proxy', 'rsync_proxy', 'npm_config_proxy'],
  ...['npm_config_http_proxy', 'npm_config_https_proxy', 'npm_config_noproxy', 'yarn_http_proxy'],
  ...['yarn_https_proxy', 'cargo_http_proxy', 'pip_proxy'],
])

export interface AgentVariables {
  /** By name, without Java's options. */
  readonly values: ReadonlyMap<string, string>
  /** To be put behind those that are there. */
  readonly javaOptions: readonly string[]
  /** Whether a variable is taken out where it is found. */
  readonly removes: (name: string) => boolean
}

/** The files are those that the proxy writes below `trust.directory`; see certs/trust-files.ts. */
export function agentVariables(mode: Mode, { trustDirectory, ports, noProxy }: InjectorSettings): AgentVariables {
  const folder = `${trustDirectory}/trust`
  const values = new Map<string, string>([
    // Images set many of them, which cannot be seen here: all are set, always.
    ...replacing.map((name) => [name, `${folder}/combined.pem`] as const),
    ...appending.map((name) => [name, `${folder}/ca.pem`] as const),
    ['SSL_CERT_DIR', `${folder}/hashed`],
    ['SYSTEM_WGETRC', `${folder}/wgetrc`],
  ])
  const javaOptions = [
    `-Djavax.net.ssl.trustStore=${folder}/truststore.p12`,
    '-Djavax.net.ssl.trustStoreType=PKCS12',
    `-Djavax.net.ssl.trustStorePassword=${javaPassword}`,
  ]
  // Captured as they are, agents need no proxy; one that is told of a proxy would ask for another.
  if (mode !== 'explicit') return { values, javaOptions, removes: () => false }
  const url = `http://127.0.0.1:${ports.explicit}`
  for (const name of ['http_proxy', 'https_proxy', 'all_proxy']) values.set(name, url).set(name.toUpperCase(), url)
  values.set('no_proxy', noProxy.join(',')).set('NO_PROXY', noProxy.join(','))
  values.set('NODE_USE_ENV_PROXY', '1')
  for (const scheme of ['http', 'https'])
    javaOptions.push(`-D${scheme}.proxyHost=127.0.0.1`, `-D${scheme}.proxyPort=${ports.explicit}`)
  javaOptions.push(`-Dhttp.nonProxyHosts=${noProxy.join('|')}`)
  return { values, javaOptions, removes: (name) => otherProxies.has(name.toLowerCase()) }
}

export interface Adapted {
  readonly env: readonly Variable[]
  /** Variables whose value was another one. */
  readonly replaced: readonly string[]
}

/** The same again when it is applied again. */
export function withVariables(env: readonly Variable[], variables: AgentVariables): Adapted {
  const replaced = new Set<string>()
  const seen = new Set<string>()
  const kept: Variable[] = []
  for (const variable of env) {
    const { name } = variable
    const value = variables.values.get(name)
    if (variables.removes(name)) {
      replaced.add(name)
    } else if (name === java) {
      kept.push(...besides(variable, variables.javaOptions))
      seen.add(name)
    } else if (value === undefined) {
      kept.push(variable)
    } else {
      const same = variable.value === value && variable.valueFrom == null
      if (!same) replaced.add(name)
      if (!seen.has(name)) kept.push(same ? variable : { name, value })
      seen.add(name)
    }
  }
  const missing = [...variables.values].filter(([name]) => !seen.has(name)).map(([name, value]) => ({ name, value }))
  const javaMissing = seen.has(java) ? [] : [{ name: java, value: variables.javaOptions.join(' ') }]
  return { env: [...kept, ...missing, ...javaMissing], replaced: [...replaced] }
}

/** Options of others stay, ours come last, since the last one counts. */
function besides(variable: Variable, ours: readonly string[]): Variable[] {
  if (variable.valueFrom != null) {
    return [
      { ...variable, name: javaOfOthers },
      { name: java, value: [`$(${javaOfOthers})`, ...ours].join(' ') },
    ]
  }
  const settings = new Set(ours.map(settingOf))
  const others = wordsOf(variable.value ?? '').filter((word) => !settings.has(settingOf(word)))
  const value = [...others, ...ours].join(' ')
  return [variable.value === value ? variable : { name: java, value }]
}

const settingOf = (option: string) => option.replace(/^["']/, '').split('=', 1)[0] ?? ''

/** As Java splits them: at white space, but for that in quotes. */
const wordsOf = (text: string) => text.match(/(?:"[^"]*"|'[^']*'|[^\s"']|["'])+/g) ?? []
