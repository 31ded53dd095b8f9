// The bare forwarder: node:http reads, undici sends, nothing is decided, injected, looked through or recorded.
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { connect } from 'node:tls'
import { type Dispatcher, Pool } from 'undici'
import { acceptTunnels, upstream } from './lean.ts'

const pool = new Pool(`https://${upstream.servername}:${upstream.port}`, {
  pipelining: 1,
  connect(_options, done) {
    const socket = connect({ ...upstream, ALPNProtocols: ['http/1.1'] })
    socket.setNoDelay(true)
    socket.once('secureConnect', () => done(null, socket))
    socket.once('error', (error) => done(error, null))
  },
})

class Forwarding {
  readonly #answer: ServerResponse

  constructor(answer: ServerResponse) {
    this.#answer = answer
  }

  onConnect(abort: () => void): void {
    this.#answer.on('close', () => {
      if (!this.#answer.writableFinished) abort()
    })
  }

  onHeaders(status: number, headers: Buffer[], resume: () => void, text: string): boolean {
    this.#answer.writeHead(
      status,
      text,
      headers.map((field) => field.toString('latin1')),
    )
    this.#answer.on('drain', resume)
    return true
  }

  onData(chunk: Buffer): boolean {
    return this.#answer.write(chunk)
  }

  onComplete(): void {
    this.#answer.end()
  }

  onError(): void {
    this.#answer.destroy()
  }
}

function forward(request: IncomingMessage, answer: ServerResponse): void {
  const headers = request.rawHeaders.slice()
  for (let index = 0; index < headers.length; index += 2)
    if (headers[index]?.toLowerCase() === 'connection') headers.splice(index, 2)
  const hasBody = request.headers['content-length'] !== undefined || request.headers['transfer-encoding'] !== undefined
  pool.dispatch(
    {
      path: request.url ?? '/',
      method: request.method as Dispatcher.HttpMethod,
      headers,
      body: hasBody ? request : null,
    },
    new Forwarding(answer) as unknown as Dispatcher.DispatchHandler,
  )
}

const server = createServer({ keepAliveTimeout: 0, requestTimeout: 0 }, forward)
acceptTunnels((inside) => server.emit('connection', inside))
