// A connection that the kernel turned round to us: its caller asked for an address, and the name inside says for whom it is.
import type { Socket } from 'node:net'
import type { Caller, Connection, HostName, Original } from '../exchange.ts'
import { Refusal } from '../refusal.ts'
import type { Attempt } from './attempt.ts'
import { type FirstBytes, firstBytes } from './first-bytes.ts'
import type { Place } from './request.ts'
import { canonicalHost } from './target.ts'
import { endTunnel, terminate } from './terminate.ts'

interface RedirectedAttempt extends Attempt {
  /** Whether an address and port are this proxy's own. */
  readonly isOwn: (address: string, port: number) => boolean
}

export interface Opened {
  /** The decrypted, or plain, stream of requests. */
  readonly socket: Socket
  /** Undefined for plain HTTP, where each request names its host. */
  readonly secured: { readonly place: Place; readonly caller: Caller } | undefined
}

/** Milliseconds that a client whom nobody waits for any more has to say in which words it can be refused. */
const lastLook = 1_000

/** @returns undefined when it was refused or taken over */
export async function openRedirected(attempt: RedirectedAttempt): Promise<Opened | undefined> {
  const { id, socket, connection, patience, admit, opaque, failed, leaves } = attempt
  const told: { host?: HostName; caller?: Caller; first?: FirstBytes } = {}
  try {
    const original = destinationOf(connection, attempt.isOwn)
    const unseen = await opaqueAt(original, attempt, told)
    if (unseen !== undefined) return await handOver(attempt, unseen, original.port)
    told.first = await firstBytes(socket, patience)
    if (told.first.speaks === 'http') return { socket, secured: undefined }
    if (told.first.speaks === 'other') throw unnamed('neither TLS nor HTTP is spoken', original)
    const { hello } = told.first
    if (hello.serverName === undefined) throw unnamed('TLS without a server name', original)
    const host = canonicalHost(hello.serverName)
    told.host = host
    const { caller, reach } = await admit(connection, host, original.port)
    told.caller = caller
    if (reach === 'none') {
      const detail = `no rule could allow ${caller.id} anything at ${host}:${original.port}`
      throw new Refusal('no_rule', { detail: `${detail}; it had connected to ${original.address}` })
    }
    if (reach === 'opaque') return await handOver(attempt, host, original.port)
    attempt.mayMint(caller, host)
    const place = { scheme: 'https', host, port: original.port } as const
    return { socket: await terminate(socket, hello, host, leaves, patience), secured: { place, caller } }
  } catch (error) {
    const refusal = Refusal.from(error)
    failed(told.host, told.caller, refusal)
    // A loop ends here at once.
    if (refusal.reason === 'self_request') socket.resetAndDestroy()
    else {
      const first = told.first ?? (await firstBytes(socket, lastLook).catch(() => undefined))
      endTunnel(socket, refusal, id, first?.speaks === 'http')
    }
    return undefined
  }

  async function handOver({ now }: Attempt, host: HostName, port: number): Promise<undefined> {
    const target = { scheme: 'https', host, port, path: '/', query: '' } as const
    const whole = { method: 'CONNECT', target, headers: [], body: undefined, upgrade: undefined }
    await opaque({ id, receivedAt: now, connection, ...whole })
  }
}

/**
 * Asked before anything is read, since in what is opaque the server may speak first.
 * @returns the host to hand the connection on to, unseen: the one name for which the address was given out, or the address itself where the policy lists it
 */
async function opaqueAt(
  { address, port, names }: Original,
  { connection, admit }: Attempt,
  told: { caller?: Caller },
): Promise<HostName | undefined> {
  const literal = canonicalHost(address.includes(':') ? `[${address}]` : address)
  const found: HostName[] = []
  for (const host of [literal, ...names.map(canonicalHost)]) {
    const { caller, reach } = await admit(connection, host, port)
    told.caller = caller
    // Where several hosts share an address, what is said there must show which one is meant.
    if (reach === 'inspect') return undefined
    if (reach === 'opaque') found.push(host)
  }
  return found.length === 1 ? found[0] : undefined
}

/** A caller that connects to the proxy itself would have it call itself without end. */
function destinationOf({ original }: Connection, isOwn: RedirectedAttempt['isOwn']): Original {
  if (original === undefined)
    throw new Refusal('self_request', { detail: 'a connection that nothing had redirected to here' })
  if (isOwn(original.address, original.port))
    throw new Refusal('self_request', { detail: `a connection to this proxy, at port ${original.port}` })
  return original
}

const unnamed = (what: string, { address, port }: Original) =>
  new Refusal('unnamed_target', { detail: `${what}; it had connected to ${address} port ${port}` })
