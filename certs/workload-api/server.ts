// Serves the Workload API over gRPC on a UNIX socket, so that development goes through the same door as SPIRE.
import { once } from 'node:events'
import { createServer, type Server as NetServer, type Socket } from 'node:net'
import type {
  Server as GrpcServer,
  Metadata,
  MethodDefinition,
  ServerUnaryCall,
  ServerWritableStream,
  sendUnaryData,
} from '@grpc/grpc-js'
import { listenPrivately } from '../private-socket.ts'
import { CallError, status } from './call-error.ts'
import { paths, securityHeader } from './proto.ts'
import type { Peer } from './registration.ts'
import type { WorkloadService } from './service.ts'

export interface WorkloadApiServerOptions {
  readonly service: WorkloadService
  /** Path of the socket. */
  readonly path: string
  /** The kernel's word on who is at the other end; undefined: it says nothing, and the peer has no identity. */
  readonly peerOf: (socket: Socket) => Peer | undefined
  /** Of the socket: 0600 unless told, so that it is for this user alone; 0666 for all that have a registration. */
  readonly mode?: number
}

type Stream = ServerWritableStream<Uint8Array, Uint8Array>
type Call = ServerUnaryCall<Uint8Array, Uint8Array>

const maxConnections = 256

export class WorkloadApiServer {
  readonly #options: WorkloadApiServerOptions
  readonly #grpc: typeof import('@grpc/grpc-js')
  readonly #front: NetServer
  readonly #connections = new Map<Socket, GrpcServer>()

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
    return server
  }

  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#front.close(() => resolve()))
    for (const socket of this.#connections.keys()) socket.destroy()
    await closed
  }

  /** A server for each connection: gRPC does not say which connection a call came on, and the peer is known by its socket. */
  #accept(socket: Socket): void {
    const peer = this.#options.peerOf(socket)
    const { Server, ServerCredentials } = this.#grpc
    const server = new Server({ 'grpc.enable_channelz': 0, 'grpc.max_receive_message_length': 64 * 1024 })
    const stream = (path: string) => (call: Stream) => void this.#stream(path, call, peer)
    const answer = (path: string) => (call: Call, reply: sendUnaryData<Uint8Array>) =>
      void this.#answer(path, call, peer).then((bytes) => reply(null, bytes), reply)
    server.addService(
      {
        x509Svid: method(paths.x509Svid, true),
        x509Bundles: method(paths.x509Bundles, true),
        jwtBundles: method(paths.jwtBundles, true),
        jwtSvid: method(paths.jwtSvid, false),
        validateJwtSvid: method(paths.validateJwtSvid, false),
      },
      {
        x509Svid: stream(paths.x509Svid),
        x509Bundles: stream(paths.x509Bundles),
        jwtBundles: stream(paths.jwtBundles),
        jwtSvid: answer(paths.jwtSvid),
        validateJwtSvid: answer(paths.validateJwtSvid),
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

  async #stream(path: string, call: Stream, peer: Peer | undefined): Promise<void> {
    const ended = new AbortController()
    const { signal } = ended
    call.once('cancelled', () => ended.abort())
    call.once('close', () => ended.abort())
    try {
      mustBeMeant(call.metadata)
      for await (const message of this.#options.service.follow(path, peer, signal)) {
        if (!call.write(message)) await once(call, 'drain', { signal })
      }
      call.end()
    } catch (error) {
      if (!signal.aborted) call.emit('error', failure(error))
    }
  }

  async #answer(path: string, call: Call, peer: Peer | undefined): Promise<Uint8Array> {
    try {
      mustBeMeant(call.metadata)
      return await this.#options.service.ask(path, call.request, peer)
    } catch (error) {
      throw failure(error)
    }
  }
}

function mustBeMeant(metadata: Metadata): void {
  if (metadata.get(securityHeader.name)[0] !== securityHeader.value)
    throw new CallError(status.invalidArgument, 'the security header is missing')
}

/** How gRPC wants to be told of a failure. What is unexpected is not told to others. */
function failure(error: unknown): Error {
  const { status: code, details } =
    error instanceof CallError ? error : new CallError(status.unknown, 'the answer could not be made')
  return Object.assign(new Error(details), { code, details })
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
