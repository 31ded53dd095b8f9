// Fetches one small JSON document of our own need: over the guarded dispatcher, in time, of a sane size, without redirects.
import type { Dispatcher } from 'undici'
import { Refusal } from '../refusal.ts'

/** Bytes. */
const largestDocument = 262_144

/**
 * @param timeout milliseconds, for all of it
 * @returns the body of a 200 answer
 * @throws Error that names the host and what was wrong, and holds nothing of the body
 */
export async function fetchDocument(dispatcher: Dispatcher, address: string, timeout: number): Promise<string> {
  const url = new URL(address)
  const over = AbortSignal.timeout(timeout)
  const late = Promise.withResolvers<never>()
  // undici heeds a signal only once it is connected, and a server may take connections and say nothing.
  over.addEventListener('abort', () => late.reject(over.reason), { once: true })
  try {
    return await Promise.race([ask(dispatcher, url, over), late.promise])
  } catch (error) {
    if (over.aborted) throw new Error(`${url.host} gave no whole answer within ${timeout} ms`)
    throw new Error(`${url.host} ${reasonOf(error)}`, { cause: error })
  }
}

async function ask(dispatcher: Dispatcher, url: URL, signal: AbortSignal): Promise<string> {
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
    // Whoever is named by a redirect was not chosen by the configuration.
    if (statusCode !== 200) throw new Wrong(`answered ${statusCode}`)
    if ((headers['content-encoding'] ?? 'identity') !== 'identity') throw new Wrong('answered in a coding of its own')
    const chunks: Buffer[] = []
    let size = 0
    for await (const chunk of body) {
      size += chunk.length
      if (size > largestDocument) throw new Wrong(`answered with more than ${largestDocument} bytes`)
      chunks.push(chunk)
    }
    return Buffer.concat(chunks).toString('utf8')
  } finally {
    body.destroy()
  }
}

class Wrong extends Error {}

function reasonOf(error: unknown): string {
  if (error instanceof Wrong) return error.message
  const guard = error instanceof Error && error.cause instanceof Refusal ? error.cause : error
  if (guard instanceof Refusal) return `was not connected to: ${guard.message}`
  const { code, name = 'unknown error' } = error as NodeJS.ErrnoException
  return `failed: ${code ?? name}`
}
