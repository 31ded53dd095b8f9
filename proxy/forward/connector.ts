// Connects to a destination: resolves once, checks every address, and connects to what was checked and to nothing else.
import type { LookupFunction, Socket } from 'node:net'
import { connect as connectTcp, isIP, isIPv6 } from 'node:net'
import { connect as connectTls, createSecureContext, type SecureContext, TLSSocket } from 'node:tls'
import { presentedChain } from '../../certs/x509/presented.ts'
import { type Reason, Refusal } from '../refusal.ts'
import { AllowedRanges } from './address.ts'
import { isRejection } from './alerts.ts'
import { Lookups } from './lookups.ts'
import { Recent } from './recent.ts'
import type { Resolve } from './resolver.ts'

/** Tells whether an address and port are one of this proxy's own listeners. */
export type IsOwn = (address: string, port: number) => boolean

export interface Place {
  readonly scheme: 'http' | 'https'
  readonly host: string
  readonly port: number
}

export interface Reachable {
  /** CIDR ranges of special-purpose addresses that are meant; public ones need no mention. */
  readonly addresses: readonly string[]
  /** PEM of extra certification authorities, besides the system's. */
  readonly ca: readonly string[]
  /** Milliseconds that resolving, connecting and the TLS handshake may take together. */
  readonly patience: number
  /** What to present to a server that asks for a certificate; PEM, leaf first. */
  readonly certificate?: { readonly chain: string; readonly key: string } | undefined
  /** Judges the chain that the server presented (DER, leaf first), in place of the usual verification and of its name. */
  readonly checkPeer?: ((chain: readonly Uint8Array[]) => void) | undefined
}

export class Connector {
  readonly #patience: number
  readonly #lookups: Lookups
  readonly #isOwn: IsOwn
  readonly #ranges: AllowedRanges
  readonly #context: SecureContext
  readonly #checkPeer: Reachable['checkPeer']
  /** Whether a handshake may be cut short. Not where somebody proves an identity in it: a resumed one proves it no more. */
  readonly #resumes: boolean
  /** Of each host, as resolved last. */
  readonly #resolved = new Recent<readonly string[]>()
  /** TLS sessions by host and port, so that a new connection need not repeat the whole handshake. */
  readonly #sessions = new Recent<Buffer>()

  constructor({ addresses, ca, patience, certificate, checkPeer }: Reachable, resolve: Resolve, isOwn: IsOwn) {
    this.#patience = patience
    this.#lookups = new Lookups(resolve, patience)
    this.#isOwn = isOwn
    this.#ranges = new AllowedRanges(addresses)
    this.#checkPeer = checkPeer
    this.#resumes = certificate === undefined && checkPeer === undefined
    this.#context = createSecureContext({
      minVersion: 'TLSv1.2',
      ...(certificate === undefined ? {} : { cert: certificate.chain, key: certificate.key }),
    })
    // The option `ca` would take their place, and all of the system parsed again for each destination: 12 ms and more than a megabyte.
    for (const pem of ca) this.#context.context.addCACert(pem)
  }

  /**
   * @param oneWayAtATime whether the socket stays open for writing when the other side has ended
   * @returns a socket that is connected, and over TLS verified, in time
   * @throws Refusal `blocked_address`, `self_request`, `upstream_unresolved`, `upstream_unreachable`, `upstream_untrusted`, `upstream_timeout`, `upstream_rejected_certificate`, and what `checkPeer` throws
   */
  async connect(place: Place, oneWayAtATime = false): Promise<Socket> {
    const began = performance.now()
    const addresses = await this.#checked(place)
    const left = Math.max(1, this.#patience - (performance.now() - began))
    const socket =
      place.scheme === 'https'
        ? this.#startTls(place, addresses)
        : connectTcp({ ...this.#options(place, addresses), allowHalfOpen: oneWayAtATime })
    await connected(socket, place, left, this.#patience)
    if (this.#checkPeer !== undefined && socket instanceof TLSSocket) admitted(socket, this.#checkPeer)
    socket.setNoDelay(true)
    // Node lets an end follow what OpenSSL complains of later, such as an alert, and undici would tell of the end alone.
    if (socket instanceof TLSSocket) socket.once('error', () => socket.destroy())
    return socket
  }

  /** Hosts of which something is remembered. */
  get remembered(): number {
    return this.#resolved.size
  }

  /** Addresses of a host when it was connected to last. */
  resolved(host: string): readonly string[] | undefined {
    return this.#resolved.get(host)
  }

  /** One address that must not be reached makes the whole answer suspect: an honest name has none. */
  async #checked({ host, port }: Place): Promise<readonly string[]> {
    const addresses = await this.#lookups.addressesOf(host)
    if (addresses.length === 0) throw new Refusal('upstream_unresolved', { detail: `${host} has no address` })
    for (const address of addresses) {
      const verdict = this.#ranges.verdict(address)
      if (!verdict.allowed)
        throw new Refusal('blocked_address', { detail: `${host} resolves to ${address} (${verdict.range})` })
      if (this.#isOwn(address, port)) throw new Refusal('self_request', { detail: `${host} resolves to this proxy` })
    }
    this.#resolved.set(host, addresses)
    return addresses
  }

  #options({ host, port }: Place, addresses: readonly string[]) {
    const answers = addresses.map((address) => ({ address, family: isIPv6(address) ? 6 : 4 }))
    const pinned: LookupFunction = (_name, options, callback) => {
      if (options.all === true) callback(null, answers)
      else callback(null, answers[0]?.address ?? '', answers[0]?.family)
    }
    // A literal would bypass `lookup`; it is its own, already checked, answer.
    return { host, port, lookup: pinned, autoSelectFamily: answers.length > 1, noDelay: true, keepAlive: true }
  }

  #startTls(place: Place, addresses: readonly string[]): TLSSocket {
    const key = `${place.host}:${place.port}`
    const session = this.#resumes ? this.#sessions.get(key) : undefined
    const socket = connectTls({
      ...this.#options(place, addresses),
      secureContext: this.#context,
      // Without it nobody is let in, but by `checkPeer`, before a byte is sent.
      rejectUnauthorized: this.#checkPeer === undefined,
      ALPNProtocols: ['http/1.1'],
      ...(isIP(place.host) === 0 ? { servername: place.host } : {}),
      ...(session === undefined ? {} : { session }),
    })
    if (!this.#resumes) return socket
    socket.on('session', (ticket: Buffer) => this.#sessions.set(key, ticket))
    socket.once('error', () => this.#sessions.delete(key))
    return socket
  }
}

function admitted(socket: TLSSocket, check: NonNullable<Reachable['checkPeer']>): void {
  try {
    check(presentedChain(socket))
  } catch (error) {
    socket.on('error', () => {})
    socket.destroy()
    throw error
  }
}

/** @param left milliseconds that are left of the patience */
function connected(socket: Socket | TLSSocket, place: Place, left: number, patience: number): Promise<void> {
  const secure = 'encrypted' in socket
  const subject = `${place.host}:${place.port}`
  return new Promise((resolve, reject) => {
    const fail = (refusal: Refusal) => {
      clearTimeout(timer)
      socket.off('error', refused)
      socket.on('error', () => {})
      socket.destroy()
      reject(refusal)
    }
    const refused = (cause: NodeJS.ErrnoException) => {
      fail(
        new Refusal(secure ? reasonOf(cause) : 'upstream_unreachable', {
          detail: `${subject}: ${cause.code ?? cause.message}`,
          cause,
        }),
      )
    }
    const timer = setTimeout(
      () => fail(new Refusal('upstream_timeout', { detail: `${subject}: not connected within ${patience} ms` })),
      left,
    )
    socket.once('error', refused)
    socket.once(secure ? 'secureConnect' : 'connect', () => {
      clearTimeout(timer)
      socket.off('error', refused)
      resolve()
    })
  })
}

/** OpenSSL's verification errors have no prefix in common; those of the network do. */
function reasonOf({ code = '' }: NodeJS.ErrnoException): Reason {
  if (isRejection(code)) return 'upstream_rejected_certificate'
  const network = /^(ECONN|EHOST|ENET|EPIPE|ETIMEDOUT|EADDR|EACCES|EPERM|ENOTFOUND)/
  return code === '' || network.test(code) ? 'upstream_unreachable' : 'upstream_untrusted'
}
