// The model of the demo: speaks OpenAI's chat completions and sends its answer word by word, to whoever has the key.
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { LeafIssuer } from '../../certs/leaf-issuer.ts'
import { type Listening, serveHttps } from './https-server.ts'

const words = 'Call Grace Hopper first: she has waited since the 30th of November.'.split(/(?<= )/)

export class Model implements Listening {
  /** Authorization of each request. */
  readonly seen: string[] = []
  /** Milliseconds that an event waits for news that the one before has arrived; then it is sent all the same. */
  patience = 5_000
  /** Events that were sent without such news. */
  unheard = 0
  readonly #key: string
  #listening: Listening | undefined
  #onArrival: (() => void) | undefined

  private constructor(key: string) {
    this.#key = key
  }

  static async start(certificates: LeafIssuer, wanted: number, key: string): Promise<Model> {
    const model = new Model(key)
    model.#listening = await serveHttps(certificates, wanted, (request, answer) => model.#serve(request, answer))
    return model
  }

  get port(): number {
    return this.#listening?.port ?? 0
  }

  /** To be told by whoever sees that the last event is with the agent. */
  arrived(): void {
    this.#onArrival?.()
  }

  async close(): Promise<void> {
    await this.#listening?.close()
  }

  #serve(request: IncomingMessage, answer: ServerResponse): void {
    const authorization = request.headers.authorization ?? ''
    this.seen.push(authorization)
    request.resume()
    if (`${request.method} ${request.url}` !== 'POST /v1/chat/completions') fail(answer, 404, 'no such endpoint')
    else if (authorization !== `Bearer ${this.#key}`) fail(answer, 401, 'incorrect API key')
    else void this.#speak(answer)
  }

  async #speak(answer: ServerResponse): Promise<void> {
    answer.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-cache' })
    for (const [index, content] of words.entries()) {
      const heard = this.#nextArrival()
      answer.write(event({ content }, index === words.length - 1 ? 'stop' : null))
      if (!(await heard)) this.unheard += 1
    }
    answer.end('data: [DONE]\n\n')
  }

  /** @returns false when there was no such news in time */
  #nextArrival(): Promise<boolean> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, this.patience, false)
      this.#onArrival = () => {
        clearTimeout(timer)
        resolve(true)
      }
    })
  }
}

function event(delta: { content: string }, finish: 'stop' | null): string {
  const chunk = {
    id: 'chatcmpl-demo',
    object: 'chat.completion.chunk',
    created: 1_767_225_600,
    model: 'demo-model',
    choices: [{ index: 0, delta, finish_reason: finish }],
  }
  return `data: ${JSON.stringify(chunk)}\n\n`
}

function fail(answer: ServerResponse, status: number, message: string): void {
  answer.writeHead(status, { 'content-type': 'application/json' })
  answer.end(JSON.stringify({ error: { message, type: 'invalid_request_error' } }))
}
