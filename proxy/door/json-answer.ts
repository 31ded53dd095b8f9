// An answer that the proxy itself gives: JSON, whole, kept by nobody.
import type { Answer, AnswerBody } from '../exchange.ts'

/** @param type media type of the body */
export function jsonAnswer(status: number, body: unknown, type = 'application/json'): Answer {
  const bytes = Buffer.from(`${JSON.stringify(body)}\n`)
  return {
    status,
    statusText: '',
    headers: ['Content-Type', type, 'Content-Length', String(bytes.length), 'Cache-Control', 'no-store'],
    body: wholeBody(bytes),
    tunnel: undefined,
    address: undefined,
    findings: [],
  }
}

export function emptyAnswer(status: number): Answer {
  return {
    status,
    statusText: '',
    headers: status === 204 ? [] : ['Content-Length', '0'],
    body: wholeBody(Buffer.alloc(0)),
    tunnel: undefined,
    address: undefined,
    findings: [],
  }
}

function wholeBody(bytes: Uint8Array): AnswerBody {
  return {
    deliver(sink) {
      if (bytes.length > 0) sink.data(bytes)
      sink.end([])
      return { resume() {}, cancel() {} }
    },
  }
}
