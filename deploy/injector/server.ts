// The webhook server: HTTPS, POST /mutate and POST /validate, nothing else.
import type { IncomingMessage, ServerResponse } from 'node:http'
import { createServer } from 'node:https'
import type { Socket } from 'node:net'
import type { InjectorMetrics } from './metrics.ts'
import type { NamespaceSource } from './namespaces.ts'
import { answerText, type Endpoint, failureText, isOutside, judge, type ReviewRequest, readReview } from './review.ts'
import type { InjectorSettings } from './settings.ts'

/** Bytes. An object of etcd has 1.5 MiB at most, and a review holds two of them. */
export const largestReview = 4 * 1024 * 1024

/** Milliseconds. */
const patience = {
  handshake: 5_000,
  head: 5_000,
  review: 10_000,
  /** Longer than that of the API server (90 s), so that it is never we who close what it is about to use. */
  idle: 120_000,
  /** For the labels of a namespace, within the 5 s that the API server waits. */
  namespace: 3_500,
}
const mostConnections = 512
/** Bytes of all reviews that are being read, or the pods of a whole cluster would hang on one sender. */
export const mostHeld = 64 * 1024 * 1024

export interface ShownCertificate {
  /** PEM. */
  readonly cert: string
  /** PEM. */
  readonly key: string
}

export interface WebhookOptions {
  readonly address: { readonly host: string; readonly port: number }
  readonly settings: InjectorSettings
  readonly namespaces: NamespaceSource
  readonly metrics: InjectorMetrics
  /** Told of errors that nobody expected. */
  readonly onProblem: (problem: unknown) => void
}

export interface WebhookServer {
  readonly port: number
  /** From now on new connections are shown this one. Until the first, none succeeds. */
  show(certificate: ShownCertificate): void
  /** Goes on answering, and lets go of each connection: the API server is to come by another way. */
  drain(): void
  /** Takes no new connections; what is under way is answered first, for so many milliseconds at most. */
  close(grace: number): Promise<void>
}

/** @throws when the address cannot be listened on */
export async function webhookServer(options: WebhookOptions): Promise<WebhookServer> {
  const { address, onProblem } = options
  const load = { held: 0, draining: false }
  const server = createServer(
    {
      minVersion: 'TLSv1.2',
      handshakeTimeout: patience.handshake,
      headersTimeout: patience.head,
      requestTimeout: patience.review,
      keepAliveTimeout: patience.idle,
      maxHeaderSize: 16_384,
    },
    (request, response) => {
      answer(request, response, options, load).catch((error: unknown) => {
        onProblem(error)
        response.destroy()
      })
    },
  )
  server.maxConnections = mostConnections
  const open = new Set<Socket>()
  server.on('connection', (socket) => {
    open.add(socket)
    socket.once('close', () => open.delete(socket))
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(address.port, address.host, () => {
      server.off('error', reject)
      resolve()
    })
  })
  const bound = server.address()
  return {
    port: typeof bound === 'object' && bound !== null ? bound.port : address.port,
    show: ({ cert, key }) => server.setSecureContext({ cert, key, minVersion: 'TLSv1.2' }),
    drain() {
      load.draining = true
    },
    close: (grace) =>
      new Promise((resolve) => {
        const cut = setTimeout(() => {
          for (const socket of open) socket.destroy()
        }, grace)
        server.close(() => {
          clearTimeout(cut)
          resolve()
        })
        server.closeIdleConnections()
      }),
  }
}

/** What goes on in all connections together. */
interface Load {
  /** Bytes of reviews that are being read. */
  held: number
  draining: boolean
}

async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  options: WebhookOptions,
  load: Load,
): Promise<void> {
  const { metrics } = options
  const fail = (cause: string, status: number, message: string) => {
    metrics.failed.add(1, cause)
    send(response, status, 'text/plain; charset=utf-8', `${message}\n`, true)
  }
  const path = (request.url ?? '').split('?', 1)[0]
  if (path !== '/mutate' && path !== '/validate') return fail('not_found', 404, 'There is /mutate and /validate.')
  if (request.method !== 'POST') return fail('method', 405, 'Only POST.')
  if (request.headers['content-type']?.split(';', 1)[0]?.trim() !== 'application/json') {
    return fail('content_type', 415, 'Only application/json.')
  }
  const body = await readBody(request, load)
  if (body === 'busy') return fail('busy', 503, 'Too many reviews at once.')
  if (body === 'too_large') return fail('too_large', 413, `A review has at most ${largestReview} bytes.`)
  if (body === 'cut') return fail('cut', 400, 'The review did not end.')
  const began = performance.now()
  const endpoint = path === '/mutate' ? 'mutate' : 'validate'
  metrics.seen.add(1, endpoint)
  let review: ReviewRequest
  try {
    review = readReview(body)
  } catch (error) {
    return fail('bad_review', 400, error instanceof Error ? error.message : 'not an AdmissionReview')
  }
  const text = await decide(endpoint, review, options)
  send(response, 200, 'application/json', text, load.draining)
  metrics.duration.observe((performance.now() - began) / 1_000)
}

async function decide(endpoint: Endpoint, review: ReviewRequest, options: WebhookOptions): Promise<string> {
  const { settings, namespaces, metrics, onProblem } = options
  const { uid } = review
  try {
    if (isOutside(review, settings)) {
      metrics.skipped.add(1, 'other_object')
      return answerText(uid, { kind: 'skipped', reason: 'other_object' })
    }
    const namespace = await namespaces.find(review.namespace ?? '', AbortSignal.timeout(patience.namespace))
    const outcome = judge(endpoint, review, namespace, settings)
    if (outcome.kind === 'skipped') metrics.skipped.add(1, outcome.reason)
    else if (outcome.kind === 'injected') metrics.injected.add(1, outcome.mode)
    else if (outcome.kind === 'intact') metrics.intact.add(1)
    else for (const reason of new Set(outcome.refusals.map((each) => each.reason))) metrics.refused.add(1, reason)
    return answerText(uid, outcome)
  } catch (error) {
    metrics.failed.add(1, 'internal')
    onProblem(error)
    const message = error instanceof Error ? error.message : String(error)
    return failureText(uid, `postern could not look at this pod: ${message}`)
  }
}

async function readBody(request: IncomingMessage, load: Load): Promise<string | 'too_large' | 'busy' | 'cut'> {
  if (Number(request.headers['content-length'] ?? 0) > largestReview) return 'too_large'
  const chunks: Buffer[] = []
  let length = 0
  try {
    for await (const chunk of request) {
      length += chunk.length
      load.held += chunk.length
      if (length > largestReview) return 'too_large'
      if (load.held > mostHeld) return 'busy'
      chunks.push(chunk)
    }
  } catch {
    return 'cut'
  } finally {
    load.held -= length
  }
  return Buffer.concat(chunks).toString('utf8')
}

function send(response: ServerResponse, status: number, type: string, text: string, last: boolean): void {
  response.writeHead(status, {
    'content-type': type,
    'content-length': Buffer.byteLength(text),
    ...(status === 405 ? { allow: 'POST' } : {}),
    // Nobody who asks amiss keeps a connection.
    ...(last ? { connection: 'close' } : {}),
  })
  response.end(text)
}
