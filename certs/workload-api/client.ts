// Calls the Workload API over gRPC, without TLS as the standard has it. What is sent and received are bytes: proto.ts knows the messages.
import type { Client, ServiceError } from '@grpc/grpc-js'
import type { WorkloadApiAddress } from './address.ts'
import { CallError, status } from './call-error.ts'
import type { WorkloadApiDoor } from './door.ts'
import { maxMessage, securityHeader } from './proto.ts'

const unchanged = (bytes: Uint8Array): Buffer => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)

/** The Workload API at this address. */
export function throughGrpc(address: WorkloadApiAddress): WorkloadApiDoor {
  return {
    follow: (path, signal) => follow(address, path, nothing, signal),
    ask: (path, request, within) => ask(address, path, request, within),
  }
}

const nothing = new Uint8Array()

/**
 * Opens a stream and yields its messages until the server ends it or the signal is aborted.
 * @throws CallError
 */
export async function* follow(
  address: WorkloadApiAddress,
  path: string,
  request: Uint8Array,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  const { client, metadata } = await connect(address)
  const call = client.makeServerStreamRequest(path, unchanged, unchanged, request, metadata)
  const cancel = (): void => call.cancel()
  signal.addEventListener('abort', cancel, { once: true })
  // An error that comes when nobody reads any more must not end the process.
  call.on('error', () => {})
  try {
    if (signal.aborted) return
    for await (const message of call) yield message
  } catch (error) {
    if (!signal.aborted) throw callError(error)
  } finally {
    signal.removeEventListener('abort', cancel)
    call.cancel()
    client.close()
  }
}

/**
 * One question, one answer.
 * @param within milliseconds
 * @throws CallError
 */
export async function ask(
  address: WorkloadApiAddress,
  path: string,
  request: Uint8Array,
  within: number,
): Promise<Uint8Array> {
  const { client, metadata } = await connect(address)
  try {
    return await new Promise<Uint8Array>((resolve, reject) => {
      client.makeUnaryRequest<Uint8Array, Uint8Array>(
        path,
        unchanged,
        unchanged,
        request,
        metadata,
        { deadline: Date.now() + within },
        (error, answer) => {
          if (error === null && answer !== undefined) resolve(answer)
          else reject(callError(error))
        },
      )
    })
  } finally {
    client.close()
  }
}

/** A connection for each call: gRPC's own waiting between attempts would stand in the way of ours. */
async function connect(
  address: WorkloadApiAddress,
): Promise<{ client: Client; metadata: import('@grpc/grpc-js').Metadata }> {
  const { Client, credentials, Metadata } = await import('@grpc/grpc-js')
  const client = new Client(target(address), credentials.createInsecure(), {
    'grpc.max_receive_message_length': maxMessage,
    'grpc.use_local_subchannel_pool': 1,
    'grpc.enable_channelz': 0,
    'grpc.enable_retries': 0,
    // A proxy that the environment names is for requests of agents, not for keys.
    'grpc.enable_http_proxy': 0,
    'grpc.service_config_disable_resolution': 1,
  })
  const metadata = new Metadata()
  metadata.set(securityHeader.name, securityHeader.value)
  return { client, metadata }
}

function target(address: WorkloadApiAddress): string {
  if (address.kind === 'unix') return `unix:${address.path}`
  return address.host.includes(':') ? `ipv6:[${address.host}]:${address.port}` : `ipv4:${address.host}:${address.port}`
}

function callError(error: unknown): CallError {
  const { code, details, message } = error as Partial<ServiceError>
  const number = typeof code === 'number' ? code : status.unknown
  const detail = (details ?? message ?? 'no details').replace(/\s*Resolution note:\s*$/, '')
  return new CallError(number, detail.slice(0, 300), error)
}
