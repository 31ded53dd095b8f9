// Opens the listeners, and shows at each handshake to come what identity the source has by then.
import { networkInterfaces } from 'node:os'
import type { TlsOptions } from 'node:tls'
import { certificatePem } from '../../certs/pem.ts'
import type { SvidSource, X509Svid } from '../../certs/source.ts'
import { type Doors, Listener, type ListenerOptions } from '../../proxy/capture/listener.ts'
import { redirectedPorts } from '../../proxy/capture/redirected-ports.ts'
import type { ListenAddress, ListenSettings } from '../../proxy/capture/settings.ts'
import type { Leaves } from '../../proxy/capture/terminate.ts'
import type { IsOwn } from '../../proxy/forward/connector.ts'
import { native } from '../../proxy/identify/kernel/native.ts'
import { originalDestination, peerProcess } from '../../proxy/identify/kernel/peer.ts'
import type { Diagnostics } from '../../proxy/record/diagnostics.ts'
import type { Turns } from '../../proxy/turns.ts'
import type { Room } from './room.ts'

export interface Listeners {
  readonly addresses: ReadonlyMap<string, ListenAddress>
  /** On this machine, unlike those in a room. */
  readonly ports: readonly number[]
  /** Connections open now. */
  readonly connections: number
  /** Connections that wait to be read. */
  readonly waiting: number
  close(graceMilliseconds: number): Promise<void>
}

interface Surroundings {
  readonly doors: Doors
  readonly leaves: Leaves
  readonly svids: SvidSource | undefined
  readonly now: () => number
  readonly log: Diagnostics
  readonly isOwn: IsOwn
  /** Names for which an address was given out, lately. */
  readonly namesOf: (address: string) => readonly string[]
  /** Where callers are, unless here. */
  readonly room: Room | undefined
  /** Told of each connection that is accepted. */
  readonly accepted: (listener: ListenSettings) => void
  readonly limited: NonNullable<ListenerOptions['onLimit']>
  readonly turns: Turns
}

/** @throws when an address cannot be listened on; those opened before are closed again */
export async function openListeners(listen: readonly ListenSettings[], surroundings: Surroundings): Promise<Listeners> {
  const { doors, leaves, svids, now, room, accepted, limited, turns } = surroundings
  const listeners: Listener[] = []
  const addresses = new Map<string, ListenAddress>()
  const ports: number[] = []
  const closeAll = (grace: number) => Promise.all(listeners.map((listener) => listener.close(grace)))
  try {
    for (const settings of listen) {
      const { name, address, accept } = settings
      const tls = accept === 'https-proxy' ? presented(svids) : undefined
      const onAccept = () => accepted(settings)
      const handed = room?.servers.get(name)
      const listener = new Listener({
        name,
        address,
        accept,
        tls,
        doors,
        leaves,
        now,
        peerCredentials: peerProcess,
        onAccept,
        onLimit: limited,
        turns,
        ...(handed === undefined ? {} : { isolation: 'namespace' }),
        ...(accept === 'redirected' ? { redirection: redirection(name, surroundings) } : {}),
        ...(accept === 'redirected' && handed === undefined ? { ports: redirectedPorts } : {}),
      })
      addresses.set(name, await listener.listen(handed))
      listeners.push(listener)
      if (handed === undefined) ports.push(...listener.ports)
    }
  } catch (error) {
    await closeAll(0)
    throw error
  }
  const stopped = new AbortController()
  void follow(listeners, surroundings, stopped.signal)
  return {
    addresses,
    ports,
    get connections() {
      return listeners.reduce((sum, listener) => sum + listener.connections, 0)
    },
    get waiting() {
      return listeners.reduce((sum, listener) => sum + listener.waiting, 0)
    },
    async close(grace) {
      stopped.abort()
      await closeAll(grace)
    },
  }
}

/** @throws where the kernel cannot be asked */
function redirection(
  listener: string,
  { isOwn, namesOf, room }: Surroundings,
): NonNullable<ListenerOptions['redirection']> {
  const found = native()
  if ('missing' in found)
    throw new Error(`listener ${listener}: redirected connections need a call into the kernel: ${found.missing}`)
  return {
    isOwn: room?.isOwn ?? isOwn,
    originalDestination(socket) {
      const original = originalDestination(socket)
      return original === undefined ? undefined : { ...original, names: namesOf(original.address) }
    },
  }
}

async function follow(listeners: readonly Listener[], { svids, log }: Surroundings, signal: AbortSignal) {
  if (svids === undefined) return
  try {
    for await (const _ of svids.updates(signal)) {
      const tls = presented(svids)
      for (const listener of listeners) listener.present(tls)
    }
  } catch (error) {
    if (!signal.aborted) log.error({ err: error }, 'the identity cannot be followed any more')
  }
}

/** Without an identity (yet, or any more) nothing is shown, and every handshake fails until one comes. */
function presented(svids: SvidSource | undefined): TlsOptions {
  if (svids === undefined) throw new Error('an https-proxy listener needs the section identity')
  const svid = held(svids)
  if (svid === undefined) return {}
  return {
    cert: svid.chain.map(certificatePem).join(''),
    key: svid.key.export({ type: 'pkcs8', format: 'pem' }),
  }
}

/** Why there is none is for readiness to say. */
function held(svids: SvidSource): X509Svid | undefined {
  try {
    return svids.svid()
  } catch {
    return undefined
  }
}

/** Addresses of this machine's interfaces. */
export function localAddresses(): readonly string[] {
  return Object.values(networkInterfaces()).flatMap((addresses) => (addresses ?? []).map(({ address }) => address))
}
