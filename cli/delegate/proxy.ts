// The proxy that an agent's environment leads to, found as its clients find it.
import { CommandError, exit } from '../exit.ts'

/** Where to ask: a proxy URL with what is to be shown there, or a UNIX socket. */
export type Asked = { readonly kind: 'url'; readonly url: URL } | { readonly kind: 'unix'; readonly path: string }

/** By which clients find a proxy, in the order in which they are believed here. */
export const proxyVariables = [
  'https_proxy',
  'HTTPS_PROXY',
  'http_proxy',
  'HTTP_PROXY',
  'all_proxy',
  'ALL_PROXY',
] as const

/**
 * @param given http://host:port, or unix:///path; else the environment says it
 * @throws CommandError when there is none, or none that can be asked
 */
export function proxyToAsk(
  given: string | undefined,
  environment: Readonly<Record<string, string | undefined>>,
): Asked {
  const name = proxyVariables.find((each) => (environment[each] ?? '') !== '')
  const text = given ?? (name === undefined ? undefined : environment[name])
  if (text === undefined) {
    throw new CommandError(
      exit.usage,
      `There is no proxy to ask: neither --proxy nor ${proxyVariables.join(', ')}. Start this below postern exec, or name it.`,
    )
  }
  const source = given === undefined ? `${name}` : '--proxy'
  const unix = /^unix:\/\/(\/.+)$/.exec(text)?.[1]
  if (unix !== undefined) return { kind: 'unix', path: unix }
  if (!URL.canParse(text)) throw new CommandError(exit.usage, `${source} is no URL such as http://127.0.0.1:15001.`)
  const url = new URL(text)
  // Who proves itself in TLS asks the door over its own connection; a handle in a URL is for this machine.
  if (url.protocol !== 'http:')
    throw new CommandError(
      exit.usage,
      `${source} is a URL of ${url.protocol} A proxy with http: or unix: can be asked.`,
    )
  return { kind: 'url', url }
}

/** The same proxy, with a handle to be shown. */
export function withHandle(proxy: URL, handle: string): string {
  const url = new URL(proxy)
  url.username = 'delegation'
  url.password = handle
  url.pathname = ''
  return url.href.replace(/\/$/, '')
}
