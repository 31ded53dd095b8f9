// Node's parser of HTTP/1.1, for connections that others accept, and what it says of what it cannot read.
import { createServer, type Server } from 'node:http'
import { Refusal } from '../refusal.ts'

interface HeadLimits {
  /** Bytes of a head. */
  readonly headBytes: number
  /** Until it is complete. */
  readonly headMilliseconds: number
  /** Between two looks for heads that are late. */
  readonly lookEvery: number
  /** Until a connection on which nothing more is asked is closed. */
  readonly idleMilliseconds: number
}

/** Reads what is given to it by `emit('connection')`; it does not listen itself. */
export function createParser(limits: HeadLimits): Server {
  const parser = createServer({
    maxHeaderSize: limits.headBytes,
    headersTimeout: limits.headMilliseconds,
    connectionsCheckingInterval: limits.lookEvery,
    requestTimeout: 0,
    keepAliveTimeout: limits.idleMilliseconds,
    insecureHTTPParser: false,
    requireHostHeader: false,
    // Any other offer to change protocol (h2c, from Java) is left unanswered, as RFC 9110 §7.8 allows.
    shouldUpgradeCallback: (message) => message.headers.upgrade?.toLowerCase() === 'websocket',
  })
  // Fields beyond a count would be dropped without a word; captureRequest refuses instead.
  parser.maxHeadersCount = 0
  // Starts the watch over slow heads, which a server that listens itself would start then.
  parser.emit('listening')
  return parser
}

/** @returns undefined where nothing was asked: a connection that was opened and dropped */
export function refusalOfParser(error: NodeJS.ErrnoException & { bytesParsed?: number }): Refusal | undefined {
  const code = error.code ?? ''
  if (code === 'HPE_HEADER_OVERFLOW')
    return new Refusal('request_too_large', { detail: 'the head is too large', cause: error })
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT')
    return new Refusal('request_timeout', { detail: 'the head was not complete in time' })
  if (code.startsWith('HPE_')) return new Refusal('bad_request', { detail: `${code}: ${error.message}`, cause: error })
  return undefined
}
