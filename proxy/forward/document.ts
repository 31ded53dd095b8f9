// Fetches one small JSON document of our own need: over the guarded dispatcher, in time, of a sane size.
import type { Dispatcher } from 'undici'
import { Refusal } from '../refusal.ts'

export interface DocumentBounds {
  /** Bytes; 262,144 unless told. */
  readonly largest?: number
  /** How many redirects are followed, each to HTTPS again and over the same dispatcher; none unless told. */
  readonly redirects?: number
}

/**
 * @param timeout milliseconds, for all of it
 * @returns the body of a 200 answer
 * @throws Error that names the host and what was wrong, and holds nothing of the body
 */
export async function fetchDocument(
  dispatcher: Dispatcher,
  address: string,
  timeout: number,
  { largest = 262_144, redirects = 0 }: DocumentBounds = {},
): Promise<string> {
  const over = AbortSignal.timeout(timeout)
  const late = Promise.withResolvers<never>()
  // undici heeds a signal only once it is connected, and a server may take connections and say nothing.
  over.addEventListener('abort', () => late.reject(over.reason), { once: true })
  let url = new URL(address)
  try {
    for (let left = redirects; ; left--) {
      const answer = await Promise.race([ask(dispatcher, url, largest, over), late.promise])
      if (typeof answer === 'string') return answer
      // Whoever is named by a redirect was not chosen by the configuration.
      if (redirects === 0) throw new Wrong(`answered ${answer.status}`)
      if (left === 0) throw new Wrong(`redirects more than ${redirects} times`)
      url = followed(answer.location, url)
    }
  } catch (error) {
    if (over.aborted) throw new Error(`${url.host} gave no whole answer within ${timeout} ms`)
    throw new Error(`${url.host} ${reasonOf(error)}`, { cause: error })
  }
}

interface Redirect {
  readonly status: number
  readonly location: string
}

const redirecting: ReadonlySet<number> = new Set([301, 302, 303, 307, 308])

async function ask(dispatcher: Dispatcher, url: URL, largest: number, signal: AbortSignal): Promise<string | Redirect> {
  const { statusCode, headers, body } = await dispatcher.request({
    origin: url.origin,
    path: url.pathname + url.search,
    method: 'GET',
    headers: { accept: 'application/jwk-set+json, application/json' },
    reset: true,
    signal,
  })
  // Destroying a body that has not ended is an error event of undici's, also where nobody listens any more.
  body.on('error', () => {})
  try {
    if (redirecting.has(statusCode)) return { status: statusCode, location: [headers.location ?? ''].flat()[0] ?? '' }
    if (statusCode !== 200) throw new Wrong(`answered ${statusCode}`)
    if ((headers['content-encoding'] ?? 'identity') !== 'identity') throw new Wrong('answered in a coding of its own')
    const chunks: Buffer[] = []
    let size = 0
    for await (const chunk of body) {
      size += chunk.length
      if (size > largest) throw new Wrong(`answered with more than ${largest} bytes`)
      chunks.push(chunk)
    }
    return Buffer.concat(chunks).toString('utf8')
  } finally {
    body.destroy()
  }
}

function followed(location: string, from: URL): URL {
  const to = URL.parse(location, from)
  if (to === null || location === '') throw new Wrong('redirects to nowhere')
  if (to.protocol !== 'https:') throw new Wrong('redirects to cleartext or another scheme')
  if (to.username !== '' || to.password !== '') throw new Wrong('redirects to a URL with user information')
  return to
}

class Wrong extends Error {}

function reasonOf(error: unknown): string {
  if (error instanceof Wrong) return error.message
  const guard = error instanceof Error && error.cause instanceof Refusal ? error.cause : error
  if (guard instanceof Refusal) return `was not connected to: ${guard.message}`
  const { code, name = 'unknown error' } = error as NodeJS.ErrnoException
  return `failed: ${code ?? name}`
}
