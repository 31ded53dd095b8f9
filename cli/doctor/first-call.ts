// A call that the configuration allows, made from the first rule that says all of it.
import type { Config } from '../../proxy/config/schema.ts'

type Rule = Config['rules'][number]

/**
 * Rules with a credential come first. Those that look at more than who, where, method and path are passed over.
 * @param uid the agent's; undefined: of any agent
 */
export function firstCall(config: Config, uid: number | undefined): URL | undefined {
  const agents = new Set(config.listen.flatMap(({ uids = {} }) => (uid === undefined ? [] : [...valuesFor(uids, uid)])))
  const fit = config.rules.filter((rule) => isPlain(rule) && (agents.size === 0 || names(rule, agents)))
  for (const rule of [...fit.filter(({ use }) => use !== undefined), ...fit]) {
    const url = callOf(rule, config)
    if (url !== undefined) return url
  }
  return undefined
}

function* valuesFor(uids: object, uid: number): Generator<string> {
  for (const [key, value] of uids instanceof Map ? uids : Object.entries(uids))
    if (Number(key) === uid) yield String(value)
}

function names({ allow }: Rule, agents: ReadonlySet<string>): boolean {
  return (allow?.agents ?? []).some(
    (pattern) =>
      agents.has(pattern) ||
      (pattern.endsWith('/*') && [...agents].some((each) => each.startsWith(pattern.slice(0, -1)))),
  )
}

function isPlain({ allow, when, mode, requires, proof }: Rule): boolean {
  if (allow === undefined || mode === 'shadow' || when !== undefined || requires !== undefined) return false
  if (proof !== undefined || allow.query !== undefined || allow.headers !== undefined) return false
  return allow.methods === undefined || allow.methods.some((method) => method === 'GET' || method === '*')
}

function callOf({ allow }: Rule, { destinations }: Config): URL | undefined {
  for (const name of [allow?.to ?? []].flat()) {
    const destination = destinations[name]
    const host = destination?.hosts.find((each) => !each.includes('*'))
    if (destination === undefined || host === undefined || destination.protocol === 'opaque') continue
    const path = (allow?.paths ?? ['/'])[0]?.replaceAll(/\*+/g, 'postern-doctor')
    const port = destination.ports[0]
    const text = `${destination.protocol}://${host.includes(':') ? `[${host}]` : host}${port === undefined ? '' : `:${port}`}${path}`
    if (path !== undefined && URL.canParse(text)) return new URL(text)
  }
  return undefined
}
