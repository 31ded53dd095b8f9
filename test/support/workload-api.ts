// A Workload API that does on each call what a test says, misbehaviour included. It speaks gRPC on a UNIX socket, or over TCP.
import { EventEmitter, once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  type Metadata,
  type MethodDefinition,
  Server,
  ServerCredentials,
  type ServerUnaryCall,
  type ServerWritableStream,
  type sendUnaryData,
} from '@grpc/grpc-js'
import { onTestFinished } from 'vitest'
import type { WorkloadApiAddress } from '../../certs/workload-api/address.ts'
import { paths, type X509SvidMessage, x509SvidAnswer } from '../../certs/workload-api/proto.ts'
import { type Authority, makeAuthority, makeSvid } from './pki.ts'

export type Stream = ServerWritableStream<Uint8Array, Uint8Array>

/** What a stream does when it is opened. */
export type Script = (stream: Stream) => void

export class ScriptedWorkloadApi {
  x509: Script = () => {}
  jwtBundles: Script = () => {}
  jwtSvid: (request: Uint8Array) => Uint8Array | Promise<Uint8Array> = () => {
    throw failure(7, 'no identity')
  }
  /** Of the calls, in order. */
  readonly metadata: Metadata[] = []
  readonly opened = { x509: 0, jwtBundles: 0, jwtSvid: 0 }
  readonly path: string
  readonly #streams = new Set<Stream>()
  /** JWT bundle streams that are open. */
  readonly jwtStreams = new Set<Stream>()
  readonly #events = new EventEmitter()
  readonly #host: string | undefined
  #port = 0
  #server: Server | undefined

  /** @param host an IP literal of loopback, to listen there and not on the socket */
  constructor(path: string, host?: string) {
    this.path = path
    this.#host = host
  }

  get address(): WorkloadApiAddress {
    if (this.#host === undefined) return { kind: 'unix', path: this.path }
    return { kind: 'tcp', host: this.#host, port: this.#port }
  }

  async start(): Promise<void> {
    const server = new Server({ 'grpc.max_send_message_length': -1 })
    const stream = (name: 'x509' | 'jwtBundles') => (call: Stream) => {
      this.metadata.push(call.metadata)
      this.opened[name]++
      const streams = name === 'x509' ? this.#streams : this.jwtStreams
      streams.add(call)
      call.once('cancelled', () => streams.delete(call))
      this[name](call)
      this.#events.emit(name)
    }
    server.addService(
      {
        x509: method(paths.x509Svid, true),
        jwtBundles: method(paths.jwtBundles, true),
        jwtSvid: method(paths.jwtSvid, false),
      },
      {
        x509: stream('x509'),
        jwtBundles: stream('jwtBundles'),
        jwtSvid: async (call: ServerUnaryCall<Uint8Array, Uint8Array>, reply: sendUnaryData<Uint8Array>) => {
          this.metadata.push(call.metadata)
          this.opened.jwtSvid++
          try {
            reply(null, await this.jwtSvid(call.request))
          } catch (error) {
            reply(error as Error)
          }
        },
      },
    )
    const literal = this.#host?.includes(':') ? `[${this.#host}]` : this.#host
    const where = literal === undefined ? `unix:${this.path}` : `${literal}:${this.#port}`
    this.#port = await new Promise<number>((resolve, reject) => {
      server.bindAsync(where, ServerCredentials.createInsecure(), (error, port) =>
        error === null ? resolve(port) : reject(error),
      )
    })
    this.#server = server
  }

  /** As a process that is killed: connections end without a word. */
  async stop(): Promise<void> {
    this.#server?.forceShutdown()
    this.#server = undefined
    this.#streams.clear()
    await rm(this.path, { force: true })
  }

  /** On every X.509 stream that is open. */
  send(message: Uint8Array): void {
    for (const stream of this.#streams) stream.write(message)
  }

  fail(code: number, details = 'as the test says'): void {
    for (const stream of this.#streams) stream.emit('error', failure(code, details))
    this.#streams.clear()
  }

  end(): void {
    for (const stream of this.#streams) stream.end()
    this.#streams.clear()
  }

  /** Resolves when a stream is opened the next time. */
  async nextX509(): Promise<void> {
    await once(this.#events, 'x509')
  }
}

export function failure(code: number, details: string): Error {
  return Object.assign(new Error(details), { code, details })
}

/** In a folder of its own, gone after the test. */
export async function scriptedWorkloadApi(host?: string): Promise<ScriptedWorkloadApi> {
  const folder = await mkdtemp(join(tmpdir(), 'postern-wl-'))
  const api = new ScriptedWorkloadApi(join(folder, 'api.sock'), host)
  await api.start()
  onTestFinished(async () => {
    await api.stop()
    await rm(folder, { recursive: true })
  })
  return api
}

export const acme: Authority = makeAuthority({ uri: 'spiffe://acme.example' })

/** An SVID as the API gives it, sound unless changed. */
export function svidMessage(
  id = 'spiffe://acme.example/postern',
  changes: Partial<X509SvidMessage> = {},
  authority: Authority = acme,
): X509SvidMessage {
  const { chain, key } = makeSvid(authority, id)
  return {
    spiffeId: id,
    certificates: Buffer.concat(chain),
    key: key.privateKey.export({ type: 'pkcs8', format: 'der' }),
    bundle: Buffer.from(authority.certificate),
    hint: '',
    ...changes,
  }
}

/** A whole answer with these SVIDs. */
export function x509Message(
  svids: readonly X509SvidMessage[] = [svidMessage()],
  rest: Partial<Parameters<typeof x509SvidAnswer>[0]> = {},
): Uint8Array {
  return x509SvidAnswer({ svids, revocationLists: [], federatedBundles: new Map(), ...rest })
}

const unchanged = (bytes: Uint8Array): Buffer => Buffer.from(bytes)

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
