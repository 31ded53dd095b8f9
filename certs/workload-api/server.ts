// Serves the Workload API on a UNIX socket from the embedded authority, so that development goes through the same door as SPIRE.
import { createServer, type Server as NetServer, type Socket } from 'node:net'
import type {
  Server as GrpcServer,
  Metadata,
  MethodDefinition,
  ServerUnaryCall,
  ServerWritableStream,
  sendUnaryData,
} from '@grpc/grpc-js'
import type { EmbeddedAuthority } from '../embedded-authority.ts'
import { listenPrivately } from '../private-socket.ts'
import type { X509Svid } from '../source.ts'
import type { SpiffeId } from '../spiffe-id.ts'
import { status } from './client.ts'
import {
  jwtBundlesAnswer,
  jwtSvidAnswer,
  paths,
  readJwtSvidRequest,
  securityHeader,
  x509BundlesAnswer,
  x509SvidAnswer,
} from './proto.ts'

/** What the kernel says of a process that has connected. */
export interface Peer {
  readonly uid: number
  readonly pid?: number
}

/** An identity, and the processes that get it: those for which everything that is named here holds. */
export interface Registration {
  readonly id: SpiffeId
  readonly hint?: string
  readonly uid?: number
  readonly pid?: number
}

export interface WorkloadApiServerOptions {
  readonly authority: EmbeddedAuthority
  /** Path of the socket. */
  readonly path: string
  /** The kernel's word on who is at the other end; undefined: it says nothing, and the peer has no identity. */
  readonly peerOf: (socket: Socket) => Peer | undefined
  /** Of the socket: 0600 unless told, so that it is for this user alone; 0666 for all that have a registration. */
  readonly mode?: number
  /** Epoch milliseconds. */
  readonly now: () => number
}

type Stream = ServerWritableStream<Uint8Array, Uint8Array>

const maxConnections = 256

export class WorkloadApiServer {
  readonly #options: WorkloadApiServerOptions
  readonly #grpc: typeof import('@grpc/grpc-js')
  readonly #front: NetServer
  readonly #stopped = new AbortController()
  readonly #connections = new Map<Socket, GrpcServer>()
  /** Sends each open stream what holds now. */
  readonly #streams = new Set<() => void>()
  readonly #svids = new Map<SpiffeId, { readonly svid: X509Svid; readonly renewAt: number }>()
  #registrations: readonly Registration[] = []

  private constructor(options: WorkloadApiServerOptions, grpc: typeof import('@grpc/grpc-js')) {
    this.#options = options
    this.#grpc = grpc
    this.#front = createServer((socket) => this.#accept(socket))
    this.#front.maxConnections = maxConnections
  }

  /** @throws when the socket cannot be opened, or others could replace it */
  static async open(options: WorkloadApiServerOptions): Promise<WorkloadApiServer> {
    const server = new WorkloadApiServer(options, await import('@grpc/grpc-js'))
    await listenPrivately(server.#front, options.path, options.mode ?? 0o600)
    void server.#followAuthority()
    return server
  }

  /** Who gets what from now on, the default identity of a process first. Processes that get nothing any more are told at once. */
  register(registrations: readonly Registration[]): void {
    this.#registrations = registrations
    this.#tellAll()
  }

  /** Issues a new X.509-SVID to everyone now. For new roots, rotate the authority. */
  renew(): void {
    this.#svids.clear()
    this.#tellAll()
  }

  async close(): Promise<void> {
    this.#stopped.abort()
    const closed = new Promise<void>((resolve) => this.#front.close(() => resolve()))
    for (const socket of this.#connections.keys()) socket.destroy()
    await closed
  }

  async #followAuthority(): Promise<void> {
    for await (const _ of this.#options.authority.updates(this.#stopped.signal)) this.renew()
  }

  #tellAll(): void {
    for (const tell of this.#streams) tell()
  }

  /** A server for each connection: gRPC does not say which connection a call came on, and the peer is known by its socket. */
  #accept(socket: Socket): void {
    const peer = this.#options.peerOf(socket)
    const { Server, ServerCredentials } = this.#grpc
    const server = new Server({ 'grpc.enable_channelz': 0, 'grpc.max_receive_message_length': 64 * 1024 })
    server.addService(
      {
        x509Svid: method(paths.x509Svid, true),
        x509Bundles: method(paths.x509Bundles, true),
        jwtBundles: method(paths.jwtBundles, true),
        jwtSvid: method(paths.jwtSvid, false),
      },
      {
        x509Svid: (call: Stream) => this.#serve(call, () => this.#x509Answer(peer)),
        x509Bundles: (call: Stream) => this.#serve(call, () => this.#x509Bundles(peer)),
        jwtBundles: (call: Stream) => this.#serve(call, () => this.#jwtBundles(peer)),
        jwtSvid: (call: ServerUnaryCall<Uint8Array, Uint8Array>, reply: sendUnaryData<Uint8Array>) =>
          void this.#jwtAnswer(peer, call).then((answer) => reply(null, answer), reply),
      },
    )
    this.#connections.set(socket, server)
    socket.on('error', () => {})
    socket.once('close', () => {
      this.#connections.delete(socket)
      server.forceShutdown()
    })
    server.createConnectionInjector(ServerCredentials.createInsecure()).injectConnection(socket)
  }

  /** Sends what holds now, and again whenever it changes or half of its life is gone. */
  #serve(call: Stream, answer: () => { readonly message: Uint8Array; readonly renewAt: number }): void {
    let renewal: NodeJS.Timeout | undefined
    const tell = (): void => {
      clearTimeout(renewal)
      // A reader that is behind gets the newest when it comes for more, not everything in between.
      if (call.writableNeedDrain) return void call.once('drain', tell)
      try {
        mustBeMeant(call.metadata)
        const { message, renewAt } = answer()
        call.write(message)
        renewal = setTimeout(tell, Math.min(Math.max(renewAt - this.#options.now(), 100), 3_600_000)).unref()
      } catch (error) {
        end()
        call.emit('error', error)
      }
    }
    const end = (): void => {
      clearTimeout(renewal)
      call.off('drain', tell)
      this.#streams.delete(tell)
    }
    this.#streams.add(tell)
    call.once('cancelled', end)
    call.once('close', end)
    tell()
  }

  #x509Answer(peer: Peer | undefined): { message: Uint8Array; renewAt: number } {
    const { authority } = this.#options
    const roots = Buffer.concat(authority.bundle().x509Authorities)
    const own = this.#identitiesOf(peer).map(({ id, hint = '' }) => ({ ...this.#svidOf(id), hint }))
    const message = x509SvidAnswer({
      svids: own.map(({ svid, hint }) => ({
        spiffeId: svid.id,
        certificates: Buffer.concat(svid.chain),
        key: svid.key.export({ type: 'pkcs8', format: 'der' }),
        bundle: roots,
        hint,
      })),
      revocationLists: [],
      federatedBundles: new Map(),
    })
    return { message, renewAt: Math.min(...own.map(({ renewAt }) => renewAt)) }
  }

  #x509Bundles(peer: Peer | undefined): { message: Uint8Array; renewAt: number } {
    this.#identitiesOf(peer)
    const { authority } = this.#options
    const roots = Buffer.concat(authority.bundle().x509Authorities)
    return {
      message: x509BundlesAnswer(new Map([[`spiffe://${authority.trustDomain}`, roots]])),
      renewAt: Number.POSITIVE_INFINITY,
    }
  }

  #jwtBundles(peer: Peer | undefined): { message: Uint8Array; renewAt: number } {
    this.#identitiesOf(peer)
    const { authority } = this.#options
    const document = Buffer.from(JSON.stringify({ keys: authority.bundle().jwtAuthorities }))
    return {
      message: jwtBundlesAnswer(new Map([[`spiffe://${authority.trustDomain}`, document]])),
      renewAt: Number.POSITIVE_INFINITY,
    }
  }

  async #jwtAnswer(peer: Peer | undefined, call: ServerUnaryCall<Uint8Array, Uint8Array>): Promise<Uint8Array> {
    mustBeMeant(call.metadata)
    const { audience, spiffeId } = readJwtSvidRequest(call.request)
    if (audience.length === 0) throw new Failure(status.invalidArgument, 'an audience is needed')
    const own = this.#identitiesOf(peer).filter(({ id }) => spiffeId === '' || id === spiffeId)
    if (own.length === 0) throw new Failure(status.permissionDenied, 'this process has no such identity')
    return jwtSvidAnswer(
      await Promise.all(
        own.map(async ({ id, hint = '' }) => ({
          spiffeId: id,
          token: await this.#options.authority.issueJwt(id, audience),
          hint,
        })),
      ),
    )
  }

  #identitiesOf(peer: Peer | undefined): readonly Registration[] {
    const own = this.#registrations.filter((registration) => matches(registration, peer))
    if (own.length === 0) throw new Failure(status.permissionDenied, 'this process has no identity')
    return own
  }

  #svidOf(id: SpiffeId): { readonly svid: X509Svid; readonly renewAt: number } {
    const now = this.#options.now()
    const known = this.#svids.get(id)
    if (known !== undefined && now < known.renewAt) return known
    const svid = this.#options.authority.issue(id)
    const fresh = { svid, renewAt: now + (svid.expiresAt - now) / 2 }
    this.#svids.set(id, fresh)
    return fresh
  }
}

/** A registration that names nothing is nobody's. */
function matches({ uid, pid }: Registration, peer: Peer | undefined): boolean {
  if (peer === undefined || (uid === undefined && pid === undefined)) return false
  return (uid === undefined || uid === peer.uid) && (pid === undefined || pid === peer.pid)
}

/** How gRPC wants to be told of a failure. */
class Failure extends Error {
  readonly code: number
  readonly details: string

  constructor(code: number, details: string) {
    super(details)
    this.code = code
    this.details = details
  }
}

function mustBeMeant(metadata: Metadata): void {
  if (metadata.get(securityHeader.name)[0] !== securityHeader.value)
    throw new Failure(status.invalidArgument, 'the security header is missing')
}

const unchanged = (bytes: Uint8Array): Buffer => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)

function method(path: string, responseStream: boolean): MethodDefinition<Uint8Array, Uint8Array> {
  return {
    path,
    requestStream: false,
    responseStream,
    requestSerialize: unchanged,
    requestDeserialize: unchanged,
    responseSerialize: unchanged,
    responseDeserialize: unchanged,
  }
}
