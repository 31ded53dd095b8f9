// A client that writes exactly the bytes it is told to, and reads HTTP/1.1 answers off the same connection one by one.
import { once } from 'node:events'
import { connect as connectTcp, type NetConnectOpts, type Socket } from 'node:net'
import { type ConnectionOptions, connect as connectTls, type TLSSocket } from 'node:tls'

export interface WireHead {
  readonly status: number
  readonly statusText: string
  /** Name, value, name, value, … as they came. */
  readonly fields: readonly string[]
  /** The value of a field, by its name in any case; several joined by `, `. */
  field(name: string): string | undefined
}

export interface WireAnswer extends WireHead {
  readonly body: Buffer
  readonly text: string
  /** Name, value, … after a chunked body. */
  readonly trailers: readonly string[]
}

/** The other side ended the connection before what was waited for had come. */
export class ConnectionEnded extends Error {
  override readonly name = 'ConnectionEnded'
  /** What had come and was not taken. */
  readonly rest: Buffer

  constructor(rest: Buffer, cause?: unknown) {
    super(`the connection ended after ${JSON.stringify(rest.toString('latin1', 0, 200))}`, { cause })
    this.rest = rest
  }
}

export class WireClient implements AsyncDisposable {
  #socket: Socket
  #came: Buffer = Buffer.alloc(0)
  #ended = false
  #failure: unknown
  #wake: (() => void) | undefined

  private constructor(socket: Socket) {
    this.#socket = socket
    this.#listen()
  }

  /** @param tls what to speak TLS with, to the proxy itself */
  static async open(to: NetConnectOpts, tls?: ConnectionOptions): Promise<WireClient> {
    const socket = connectTcp(to)
    await once(socket, 'connect')
    const client = new WireClient(socket)
    if (tls !== undefined) await client.secure(tls)
    return client
  }

  /** To see what TLS agreed on, or to end the connection in a way of one's own. */
  get socket(): Socket | TLSSocket {
    return this.#socket
  }

  /** Text is written as Latin-1: a character a byte. */
  send(bytes: string | Uint8Array): void {
    if (typeof bytes === 'string') this.#socket.write(bytes, 'latin1')
    else this.#socket.write(bytes)
  }

  /** Asks for a tunnel. @param fields further header lines, without line ends */
  async tunnel(authority: string, ...fields: readonly string[]): Promise<WireAnswer> {
    this.send([`CONNECT ${authority} HTTP/1.1`, `Host: ${authority}`, ...fields, '', ''].join('\r\n'))
    const head = await this.head()
    return head.status === 200 ? { ...head, body: Buffer.alloc(0), text: '', trailers: [] } : this.#finish(head, false)
  }

  /** Speaks TLS from here on, inside whatever was spoken before. Rejects as the handshake does. */
  async secure(options: ConnectionOptions): Promise<TLSSocket> {
    this.#socket.removeAllListeners('data')
    const inside = connectTls({ ...options, socket: this.#socket })
    await Promise.race([
      once(inside, 'secureConnect'),
      once(inside, 'close').then(() => {
        throw new ConnectionEnded(this.#came)
      }),
    ])
    this.#socket = inside
    this.#listen()
    return inside
  }

  /**
   * Sends a request and reads its answer.
   * @param lines request line and header lines, without line ends
   */
  async request(lines: readonly string[], body: string | Uint8Array = ''): Promise<WireAnswer> {
    this.send([...lines, '', ''].join('\r\n'))
    if (body.length > 0) this.send(body)
    return this.answer({ toHead: lines[0]?.startsWith('HEAD ') === true })
  }

  /** The next answer, whole; interim ones are passed over. @param toHead whether it answers a HEAD, so has no body */
  async answer({ toHead = false } = {}): Promise<WireAnswer> {
    for (;;) {
      const head = await this.head()
      if (head.status >= 200 || head.status === 101) return this.#finish(head, toHead)
    }
  }

  /** The head of the next answer, interim ones included. */
  async head(): Promise<WireHead> {
    const text = (await this.through('\r\n\r\n')).toString('latin1')
    const [statusLine = '', ...lines] = text.slice(0, -4).split('\r\n')
    const [, status, statusText] = /^HTTP\/1\.1 (\d{3}) ?(.*)$/.exec(statusLine) ?? []
    if (status === undefined) throw new Error(`no status line: ${JSON.stringify(statusLine)}`)
    const fields = lines.flatMap(split)
    return { status: Number(status), statusText: statusText ?? '', fields, field: (name) => fieldOf(fields, name) }
  }

  /** The next bytes as they come, at least one; undefined when no more will come. */
  async some(): Promise<Buffer | undefined> {
    while (this.#came.length === 0 && !this.#ended) await this.#more()
    return this.#came.length === 0 ? undefined : this.#take(this.#came.length)
  }

  /** Exactly that many bytes. @throws ConnectionEnded */
  async exactly(count: number): Promise<Buffer> {
    while (this.#came.length < count) await this.#moreOrThrow()
    return this.#take(count)
  }

  /** Everything up to and with this text. @throws ConnectionEnded */
  async through(text: string): Promise<Buffer> {
    for (;;) {
      const at = this.#came.indexOf(text, 0, 'latin1')
      if (at !== -1) return this.#take(at + text.length)
      await this.#moreOrThrow()
    }
  }

  /** Everything until the other side ends the connection. */
  async rest(): Promise<Buffer> {
    while (!this.#ended) await this.#more()
    return this.#take(this.#came.length)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#socket.closed) return
    const gone = once(this.#socket, 'close')
    this.#socket.destroy()
    await gone
  }

  async #finish(head: WireHead, toHead: boolean): Promise<WireAnswer> {
    const { body, trailers } = await this.#bodyOf(head, toHead)
    return { ...head, body, text: body.toString(), trailers }
  }

  async #bodyOf(head: WireHead, toHead: boolean): Promise<{ body: Buffer; trailers: readonly string[] }> {
    const none = toHead || head.status === 101 || head.status === 204 || head.status === 304
    if (none) return { body: Buffer.alloc(0), trailers: [] }
    if (head.field('transfer-encoding')?.toLowerCase() === 'chunked') return this.#chunked()
    const length = head.field('content-length')
    return { body: length === undefined ? await this.rest() : await this.exactly(Number(length)), trailers: [] }
  }

  async #chunked(): Promise<{ body: Buffer; trailers: readonly string[] }> {
    const chunks: Buffer[] = []
    for (;;) {
      const size = Number.parseInt((await this.through('\r\n')).toString('latin1'), 16)
      if (size === 0) break
      chunks.push((await this.exactly(size + 2)).subarray(0, -2))
    }
    const trailers: string[] = []
    for (;;) {
      const line = (await this.through('\r\n')).toString('latin1').slice(0, -2)
      if (line === '') return { body: Buffer.concat(chunks), trailers }
      trailers.push(...split(line))
    }
  }

  #listen(): void {
    this.#socket.on('data', (chunk: Buffer) => {
      this.#came = Buffer.concat([this.#came, chunk])
      this.#wake?.()
    })
    this.#socket.on('error', (error) => {
      this.#failure = error
    })
    for (const event of ['end', 'close'])
      this.#socket.on(event, () => {
        this.#ended = true
        this.#wake?.()
      })
  }

  #take(count: number): Buffer {
    const taken = this.#came.subarray(0, count)
    this.#came = this.#came.subarray(count)
    return taken
  }

  #more(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve
    })
  }

  async #moreOrThrow(): Promise<void> {
    if (this.#ended) throw new ConnectionEnded(this.#came, this.#failure)
    await this.#more()
  }
}

function split(line: string): [string, string] {
  const colon = line.indexOf(':')
  return [line.slice(0, colon), line.slice(colon + 1).trim()]
}

function fieldOf(fields: readonly string[], name: string): string | undefined {
  const values = fields.filter((_, index) => index % 2 === 1 && fields[index - 1]?.toLowerCase() === name.toLowerCase())
  return values.length === 0 ? undefined : values.join(', ')
}
