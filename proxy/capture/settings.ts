// The `listen` section: where agents connect, what is spoken there, and which proofs count.
import { isIP, isIPv4, SocketAddress } from 'node:net'
import * as z from 'zod'
import { name, spiffeId } from '../config/scalars.ts'

export type ListenAddress =
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number }
  | { readonly kind: 'unix'; readonly path: string }

const addressForms = 'an address such as 127.0.0.1:15001, [::1]:0 or unix:///run/postern/agents.sock'

/** `127.0.0.1:15001`, `[::1]:0` (0: any free port) or `unix:///path`. Names are not resolved: a listener stands where it says. */
export const listenAddress = z.string().transform((text, context): ListenAddress => {
  const unix = /^unix:\/\/(\/[^\0]*[^/\0])$/.exec(text)
  // sockaddr_un holds 108 bytes, a closing NUL among them (unix(7)).
  if (unix?.[1] !== undefined && Buffer.byteLength(unix[1]) < 108) return { kind: 'unix', path: unix[1] }
  const tcp = /^(?:\[([^\]%]+)\]|([^:]+)):(\d{1,5})$/.exec(text)
  const host = tcp?.[1] ?? tcp?.[2] ?? ''
  const port = Number(tcp?.[3])
  const family = isIP(host)
  if (family !== 0 && (family === 6) === (tcp?.[1] !== undefined) && port <= 65_535)
    return { kind: 'tcp', host: shortest(host), port }
  const nearest = host.toLowerCase() === 'localhost' ? `127.0.0.1:${port}` : undefined
  context.addIssue({ code: 'custom', message: `not ${addressForms}`, params: { nearest } })
  return z.NEVER
})

const shortest = (host: string) => (isIPv4(host) ? host : new SocketAddress({ address: host, family: 'ipv6' }).address)

const wildcards = new Set(['0.0.0.0', '::'])

const isLocal = (address: ListenAddress) =>
  address.kind === 'unix' || address.host === '::1' || address.host.startsWith('127.')

const listenerSchema = z
  .strictObject({
    name: name.describe('Stands in each record of what came in here.'),
    address: listenAddress.describe('IP address and port (0: any free one), or `unix:///path`.'),
    accept: z
      .enum(['http-proxy', 'https-proxy', 'redirected'])
      .describe(
        '`http-proxy`: absolute-form and CONNECT, on this machine only. `https-proxy`: the same inside TLS 1.3, where a client certificate is asked for. `redirected`: connections of other users that the rules of `postern capture install` turn round to here; the name that TLS or HTTP gives is what counts. Listen on 127.0.0.1 and on ::1; the port is the first of eight.',
      ),
    callers: z
      .array(z.enum(['x509-svid', 'jwt-svid', 'kubernetes-token', 'kernel', 'run-token', 'namespace']))
      .describe(
        'Proofs that count, any one of them. Empty means nobody. `jwt-svid` or `kubernetes-token` comes in `Proxy-Authorization: Bearer`, and counts with `http-proxy` only together with the user that `agent` or `uids` maps to the same ID. `run-token` and `namespace` are known only where `postern exec` opens the listener.',
      ),
    agent: spiffeId
      .optional()
      .describe(
        'Whom a caller on this machine is taken for, unless `containers`, `executables` or `uids` says otherwise.',
      ),
    uids: z
      .record(z.string().regex(/^(0|[1-9]\d{0,9})$/, 'a user id such as 1000'), spiffeId)
      .optional()
      .describe('Whom a caller on this machine with this user id is taken for.'),
    executables: z
      .record(z.string().regex(/^\/[^\0]*[^/\0]$/, 'the absolute path of a program'), spiffeId)
      .optional()
      .describe(
        'Whom a process of this program is taken for, whatever its user; the path is as the kernel tells it, links followed. Programs in containers do not count: there another one may have the path.',
      ),
    containers: z
      .record(
        z.string().regex(/^[0-9a-f]{12,64}$/, 'the id of a container in lower-case hex, or at least 12 digits of it'),
        spiffeId,
      )
      .optional()
      .describe(
        'Whom a process in this container is taken for, whatever its program and user: the id, or its beginning.',
      ),
  })
  .superRefine(agreesWithItself)

interface Listener {
  readonly address: ListenAddress
  readonly accept: string
  readonly callers: readonly string[]
  readonly agent?: string | undefined
  readonly uids?: Readonly<Record<string, string>> | undefined
  readonly executables?: Readonly<Record<string, string>> | undefined
  readonly containers?: Readonly<Record<string, string>> | undefined
}

/** The keys that say whom the kernel's word means. */
const mappings = ['agent', 'uids', 'executables', 'containers'] as const

function agreesWithItself(listener: Listener, context: z.RefinementCtx): void {
  const { address, accept, callers } = listener
  const wrong = (key: keyof Listener, message: string) => context.addIssue({ code: 'custom', path: [key], message })
  if (new Set(callers).size !== callers.length) wrong('callers', 'a proof stands twice')
  const token = callers.find((proof) => proof === 'jwt-svid' || proof === 'kubernetes-token')
  if (accept === 'https-proxy' && token === undefined && !callers.includes('x509-svid')) {
    wrong('callers', 'https-proxy is for callers who prove who they are by x509-svid, jwt-svid or kubernetes-token')
  }
  if (accept === 'http-proxy' && callers.includes('x509-svid')) {
    wrong('callers', 'x509-svid is proved in TLS, so only https-proxy can accept it')
  }
  // Without TLS neither the caller nor a token in the proxy URL is protected beyond this machine.
  if (accept === 'http-proxy' && !isLocal(address)) {
    wrong('address', 'http-proxy listens on loopback or a UNIX socket only; use https-proxy beyond this machine')
  }
  if (accept === 'redirected') {
    if (callers.some((proof) => proof !== 'kernel'))
      wrong('callers', 'nobody can show anything on a redirected connection; only kernel counts there')
    // Reached from elsewhere a connection is not redirected, and refused.
    if (address.kind === 'unix' || !(isLocal(address) || wildcards.has(address.host)))
      wrong('address', 'redirected connections come to 127.0.0.1 and ::1, so listen there')
    else if (address.port === 0) wrong('address', 'the rules redirect to a port, so it must be a fixed one')
  }
  const kernel = callers.includes('kernel')
  // Without TLS a token could have been read on the way, so the kernel must name the same caller.
  const witness = kernel || (accept === 'http-proxy' && token !== undefined)
  const mapped = mappings.some((key) => listener[key] !== undefined)
  if (!kernel && witness && !mapped) {
    wrong('callers', `${token} counts without TLS only where the kernel confirms it; name \`agent\` or \`uids\``)
  }
  if (kernel && !mapped) {
    wrong('callers', 'kernel tells a user id, no identity; name `agent` or `uids`')
  }
  for (const key of mappings) {
    if (!witness && listener[key] !== undefined) wrong(key, 'has no effect unless callers include kernel')
  }
  checkContainers(Object.keys(listener.containers ?? {}), context)
}

/** Where one is the beginning of another, a container would be two agents. */
function checkContainers(ids: readonly string[], context: z.RefinementCtx): void {
  for (const id of ids) {
    if (!ids.some((other) => other !== id && id.startsWith(other))) continue
    const message = 'another entry is the beginning of this one'
    context.addIssue({ code: 'custom', path: ['containers', id], message })
  }
}

export const listenSchema = z.array(listenerSchema)

export type ListenSettings = z.output<typeof listenerSchema>
