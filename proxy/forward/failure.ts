// Says in the words of the one list what undici, the connector or the network reported.
import { errors } from 'undici'
import { type Reason, Refusal } from '../refusal.ts'
import { isRejection } from './alerts.ts'

/** @param error what a request to an upstream ended with */
export function refusalOf(error: Error): Refusal {
  if (error instanceof Refusal) return error
  const code = 'code' in error && typeof error.code === 'string' ? error.code : error.name
  return new Refusal(reasonOf(error, code), { detail: `${code}: ${error.message}`, cause: error })
}

function reasonOf(error: Error, code: string): Reason {
  if (error instanceof errors.HeadersTimeoutError || error instanceof errors.BodyTimeoutError) return 'upstream_timeout'
  if (
    error instanceof errors.HTTPParserError ||
    error instanceof errors.HeadersOverflowError ||
    error instanceof errors.ResponseContentLengthMismatchError ||
    // What undici asserts of an answer, such as a status of at least 100.
    code === 'ERR_ASSERTION'
  ) {
    return 'upstream_protocol'
  }
  if (error instanceof errors.RequestContentLengthMismatchError) return 'bad_request'
  if (error instanceof errors.SocketError) return 'upstream_closed'
  if (code === 'ECONNRESET' || code === 'EPIPE') return 'upstream_closed'
  if (isRejection(code)) return 'upstream_rejected_certificate'
  if (code === 'ETIMEDOUT') return 'upstream_timeout'
  return 'internal_error'
}
