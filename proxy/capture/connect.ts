// A CONNECT: who asks and whether anything could be allowed there is settled before the tunnel is opened, and what is
// spoken in it before anything is decrypted.
import type { IncomingMessage } from 'node:http'
import { isIP, type Socket } from 'node:net'
import type { Caller, HostName } from '../exchange.ts'
import { Refusal } from '../refusal.ts'
import type { Attempt } from './attempt.ts'
import type { ClientHello } from './client-hello.ts'
import { firstBytes } from './first-bytes.ts'
import { refuseOnSocket } from './reply.ts'
import type { Place } from './request.ts'
import { canonicalHost, parseAuthority } from './target.ts'
import { endTunnel, terminate } from './terminate.ts'

interface TunnelAttempt extends Attempt {
  readonly message: IncomingMessage
  readonly head: Buffer
}

export interface Opened {
  /** The decrypted, or plain, stream of requests. */
  readonly socket: Socket
  readonly place: Place
  readonly caller: Caller
}

/** @returns undefined when it was refused or taken over */
export async function openTunnel(attempt: TunnelAttempt): Promise<Opened | undefined> {
  const { id, message, socket, connection, now, head } = attempt
  let host: HostName | undefined
  let caller: Caller | undefined
  let established = false
  try {
    const target = connectTarget(message)
    host = target.host
    const admitted = await attempt.admit(connection, target.host, target.port)
    caller = admitted.caller
    if (admitted.reach === 'none') {
      throw new Refusal('no_rule', { detail: `no rule could allow ${caller.id} anything at ${host}:${target.port}` })
    }
    if (admitted.reach === 'inspect') attempt.mayMint(caller, host)
    if (head.length > 0) socket.unshift(head)
    if (admitted.reach === 'opaque') {
      const whole = { scheme: 'https', ...target, path: '/', query: '' } as const
      await attempt.opaque({
        id,
        receivedAt: now,
        connection,
        method: 'CONNECT',
        target: whole,
        headers: message.rawHeaders,
        body: undefined,
        upgrade: undefined,
      })
      return undefined
    }
    socket.write('HTTP/1.1 200 Connection Established\r\n\r\n')
    established = true
    return { ...(await lookInto(attempt, target)), caller }
  } catch (error) {
    const refusal = Refusal.from(error)
    attempt.failed(host, caller, refusal)
    if (established) endTunnel(socket, refusal, id, true)
    else refuseOnSocket(socket, refusal, id)
    return undefined
  }
}

function connectTarget(message: IncomingMessage): { readonly host: HostName; readonly port: number } {
  const { host, port } = parseAuthority(message.url ?? '')
  if (port === undefined) throw new Refusal('bad_request', { detail: 'CONNECT names no port' })
  const fields = message.rawHeaders
  let hosts = 0
  for (let at = 0; at < fields.length; at += 2) {
    if (fields[at]?.toLowerCase() !== 'host') continue
    hosts += 1
    if (hosts > 1) throw new Refusal('bad_request', { detail: 'more than one Host' })
    // Some clients leave the port out of Host on CONNECT; what they name must still be the same host.
    const named = parseAuthority(fields[at + 1] ?? '')
    if (named.host !== host || (named.port ?? port) !== port) {
      throw new Refusal('misdirected', { detail: 'Host names another place than the CONNECT' })
    }
  }
  return { host, port }
}

async function lookInto(attempt: TunnelAttempt, target: { readonly host: HostName; readonly port: number }) {
  const { socket, patience, leaves } = attempt
  const first = await firstBytes(socket, patience)
  if (first.speaks === 'http') return { socket, place: { scheme: 'http', ...target } as const }
  if (first.speaks === 'other')
    throw new Refusal('unsupported_protocol', { detail: 'neither TLS nor HTTP on the tunnel' })
  checkName(first.hello, target.host)
  return {
    socket: await terminate(socket, first.hello, target.host, leaves, patience),
    place: { scheme: 'https', ...target } as const,
  }
}

/** The name that the agent tells TLS must be the one that it told CONNECT; policy saw that one (RFC 9110 §7.4). */
function checkName({ serverName }: ClientHello, host: HostName): void {
  const literal = isIP(host) !== 0
  // Java names no host without a dot, such as localhost, to TLS; the CONNECT authority and Host must do.
  if (serverName === undefined && !literal && host.includes('.'))
    throw new Refusal('misdirected', { detail: 'TLS without a server name' })
  if (serverName !== undefined) {
    const named = canonicalHost(literal && serverName.includes(':') ? `[${serverName}]` : serverName)
    if (named !== host) throw new Refusal('misdirected', { detail: `CONNECT to ${host}, TLS server name ${named}` })
  }
}
