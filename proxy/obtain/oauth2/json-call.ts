// One bounded HTTP call to a token server: JSON comes back, in time and of a sane size, from exactly where it was asked.
import type { Dispatcher } from 'undici'
import { Refusal } from '../../refusal.ts'

/** Bytes of an answer's body. */
export const largestAnswer = 65_536

export interface Call {
  readonly url: string
  readonly authorization?: string | undefined
  /** POSTed; GET without it. */
  readonly form?: string
  /** Milliseconds, for all of it. */
  readonly timeout: number
}

export interface JsonAnswer {
  readonly status: number
  /** Undefined when the body is empty, or is not JSON. */
  readonly json: unknown
  /** Whole seconds, where the server asks for patience. */
  readonly retryAfter: number | undefined
}

/** @throws Refusal `credential_unavailable`; names host and error code, holds nothing of the body */
export async function callJson(dispatcher: Dispatcher, call: Call, signal: AbortSignal): Promise<JsonAnswer> {
  const url = new URL(call.url)
  const timeout = AbortSignal.timeout(call.timeout)
  const over = AbortSignal.any([signal, timeout])
  try {
    over.throwIfAborted()
    const request = dispatcher.request({
      origin: url.origin,
      path: url.pathname + url.search,
      method: call.form === undefined ? 'GET' : 'POST',
      headers: {
        accept: 'application/json',
        ...(call.authorization === undefined ? {} : { authorization: call.authorization }),
        ...(call.form === undefined ? {} : { 'content-type': 'application/x-www-form-urlencoded' }),
      },
      body: call.form ?? null,
      // These calls are rare and must not be repeated blindly: never on a connection that the server may just have closed.
      reset: true,
      signal: over,
    })
    const answer = await untilOver(request, over)
    const text = await readBounded(answer.body, url)
    // Following a redirect would hand the secret to whoever is named there.
    if (answer.statusCode >= 300 && answer.statusCode < 400)
      throw unavailable(url, `answered ${answer.statusCode}; redirects are not followed`)
    return {
      status: answer.statusCode,
      json: isPlainJson(answer.headers) ? parseJson(text) : undefined,
      retryAfter: seconds(answer.headers['retry-after']),
    }
  } catch (error) {
    if (timeout.aborted) throw unavailable(url, `gave no whole answer within ${call.timeout} ms`)
    throw described(url, error)
  }
}

/** undici heeds a signal only once it is connected; a server that takes connections and says nothing would be waited for. */
async function untilOver<T>(work: Promise<T>, over: AbortSignal): Promise<T> {
  const { promise, reject } = Promise.withResolvers<never>()
  const give = () => reject(over.reason)
  over.addEventListener('abort', give, { once: true })
  try {
    return await Promise.race([work, promise])
  } finally {
    over.removeEventListener('abort', give)
  }
}

async function readBounded(body: Dispatcher.ResponseData['body'], url: URL): Promise<string> {
  const chunks: Buffer[] = []
  let size = 0
  // Destroying a body that has not ended is an error event of undici's, also where nobody listens any more.
  body.on('error', () => {})
  for await (const chunk of body) {
    size += chunk.length
    // Leaving the loop destroys the body, and with it the connection.
    if (size > largestAnswer) throw unavailable(url, `answered with more than ${largestAnswer} bytes`)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
}

function isPlainJson(headers: Dispatcher.ResponseData['headers']): boolean {
  const type = headers['content-type']
  const encoding = headers['content-encoding']
  return (
    typeof type === 'string' &&
    /^application\/json\s*(;|$)/i.test(type) &&
    (encoding === undefined || encoding === 'identity')
  )
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function seconds(field: string | string[] | undefined): number | undefined {
  return typeof field === 'string' && /^\d{1,9}$/.test(field) ? Number(field) : undefined
}

/** The address guard refuses in its own words, which are of the upstream; here they are the credential's. */
function described(url: URL, error: unknown): Refusal {
  if (error instanceof Refusal && error.reason === 'credential_unavailable') return error
  const guard =
    error instanceof Refusal
      ? error
      : error instanceof Error && error.cause instanceof Refusal
        ? error.cause
        : undefined
  if (guard !== undefined) return unavailable(url, `was not connected to: ${guard.message}`, guard)
  const { code, name = 'unknown error' } = error as NodeJS.ErrnoException
  return unavailable(url, `failed: ${code ?? name}`, error)
}

function unavailable(url: URL, what: string, cause?: unknown): Refusal {
  return new Refusal('credential_unavailable', { detail: `token server ${url.host} ${what}`, cause })
}
