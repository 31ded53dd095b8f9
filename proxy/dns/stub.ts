// Answers DNS on one address, by datagram and by stream (RFC 1035 §4.2).
import { createSocket, type Socket as DatagramSocket } from 'node:dgram'
import { once } from 'node:events'
import { createServer, isIPv6, type Server, type Socket } from 'node:net'
import type { ListenAddress } from '../capture/settings.ts'
import type { Answerer, DnsResult } from './answer.ts'
import { ttl } from './answer.ts'
import { longestQuery, readDnsQuery, writeDnsAnswer, writeDnsMalformed } from './message.ts'

/** Streams open at once; a further one is closed. */
export const mostStreams = 64
/** Milliseconds without a whole query after which a stream is closed. */
export const streamIdle = 5_000

/** Ports tried where any is good enough. */
const choices = 20

interface StubOptions {
  readonly answerer: Answerer
  /** The bytes of an address: 4 or 16. */
  readonly addressBytes: (address: string) => Uint8Array | undefined
  readonly onResult: (result: DnsResult) => void
  /** Another than usual, to reach it sooner. */
  readonly streamIdle?: number
}

export class DnsStub {
  readonly #options: StubOptions
  readonly #datagrams: DatagramSocket
  readonly #streams: Server
  readonly #open = new Set<Socket>()

  private constructor(options: StubOptions, datagrams: DatagramSocket) {
    this.#options = options
    this.#datagrams = datagrams
    datagrams.on('message', (message, { address, port }) => {
      void this.#answer(message).then((answer) => {
        if (answer !== undefined) datagrams.send(answer, port, address, () => {})
      })
    })
    datagrams.on('error', () => {})
    this.#streams = createServer((socket) => void this.#stream(socket))
    this.#streams.maxConnections = mostStreams
  }

  /** @throws when the address cannot be listened on, with both */
  static async open(address: ListenAddress & { kind: 'tcp' }, options: StubOptions): Promise<DnsStub> {
    // A port that the system chose for one of both may be taken for the other.
    for (let left = address.port === 0 ? choices : 1; ; left--) {
      try {
        return await DnsStub.#listen(address, options)
      } catch (error) {
        if (left === 1 || (error as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw error
      }
    }
  }

  static async #listen({ host, port }: ListenAddress & { kind: 'tcp' }, options: StubOptions): Promise<DnsStub> {
    const datagrams = createSocket(isIPv6(host) ? 'udp6' : 'udp4')
    datagrams.bind(port, host)
    await once(datagrams, 'listening')
    const stub = new DnsStub(options, datagrams)
    try {
      stub.#streams.listen({ host, port: datagrams.address().port })
      await once(stub.#streams, 'listening')
    } catch (error) {
      datagrams.close()
      throw error
    }
    return stub
  }

  /**
   * Answers on sockets that are bound and listening already, such as those that another process opened where we are not.
   * @param streams must not be used any more
   */
  static async adopt(datagrams: DatagramSocket, streams: Server, options: StubOptions): Promise<DnsStub> {
    const stub = new DnsStub(options, datagrams)
    stub.#streams.listen(streams)
    await once(stub.#streams, 'listening')
    return stub
  }

  get port(): number {
    return this.#datagrams.address().port
  }

  async close(): Promise<void> {
    for (const socket of this.#open) socket.destroy()
    await Promise.all([
      new Promise<void>((resolve) => this.#datagrams.close(() => resolve())),
      new Promise<void>((resolve) => this.#streams.close(() => resolve())),
    ])
  }

  async #answer(bytes: Uint8Array): Promise<Uint8Array | undefined> {
    const { answerer, addressBytes, onResult } = this.#options
    const reading = readDnsQuery(bytes)
    if (reading.state !== 'query') {
      onResult('malformed')
      return reading.state === 'malformed' ? writeDnsMalformed(reading.id) : undefined
    }
    const { code, addresses, result } = await answerer.answer(reading.query)
    onResult(result)
    return writeDnsAnswer(
      reading.query,
      code,
      addresses.flatMap((address) => addressBytes(address) ?? []),
      ttl,
    )
  }

  /** One query after another, each with its length before it. */
  async #stream(socket: Socket): Promise<void> {
    // Not the socket's own timeout, which each byte of a query that never ends would begin anew.
    const expect = () =>
      setTimeout(() => socket.destroy(new Error('no whole query')), this.#options.streamIdle ?? streamIdle)
    let waiting = expect()
    this.#open.add(socket)
    socket.once('close', () => {
      this.#open.delete(socket)
      clearTimeout(waiting)
    })
    socket.on('error', () => socket.destroy())
    let held: Buffer = Buffer.alloc(0)
    try {
      for await (const chunk of socket) {
        held = Buffer.concat([held, chunk])
        while (held.length >= 2) {
          const length = held.readUInt16BE(0)
          if (length > longestQuery) return
          if (held.length < 2 + length) break
          clearTimeout(waiting)
          const answer = await this.#answer(held.subarray(2, 2 + length))
          if (socket.destroyed) return
          waiting = expect()
          if (answer === undefined) return
          held = held.subarray(2 + length)
          const framed = Buffer.alloc(2 + answer.length)
          framed.writeUInt16BE(answer.length)
          framed.set(answer, 2)
          // Whoever does not read what was answered is asked nothing more.
          if (!socket.write(framed)) await once(socket, 'drain')
        }
      }
    } catch {
      // The other side has gone.
    } finally {
      socket.end()
    }
  }
}
