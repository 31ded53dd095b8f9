// What the admin socket answers, to whoever may ask: one entry a question.
import type { IncomingMessage } from 'node:http'
import { faultsOf, type Order, orderSchema } from '../stop/order.ts'
import type { AdminReload, AdminStatus } from './admin-protocol.ts'
import type { AdminOutcome, AdminStops } from './admin-stops.ts'

export interface Answers {
  readonly status: () => AdminStatus
  readonly reload: () => Promise<AdminReload>
  readonly stops: {
    list(): AdminStops
    order(order: Order, uid: number): Promise<AdminOutcome>
    /** Undefined: there is no such stop; throws where it cannot be lifted here. */
    lift(id: string, uid: number): Promise<AdminOutcome | undefined>
  }
}

export interface Reply {
  readonly status: number
  readonly body: unknown
}

/** Bytes. */
export const largestBody = 16_384

/** @param uid of whoever asks */
export async function answer(request: IncomingMessage, uid: number, answers: Answers): Promise<Reply> {
  const { method, url = '', headers } = request
  // A browser has no business here.
  if (headers.origin !== undefined) return complaint(403, 'Not for pages of a browser.')
  const question = `${method} ${url}`
  if (question === 'POST /v1/stops') return await ordered(request, uid, answers)
  if (headers['transfer-encoding'] !== undefined || (headers['content-length'] ?? '0') !== '0') {
    return complaint(400, 'No body is expected.')
  }
  switch (question) {
    case 'GET /v1/status':
      return { status: 200, body: answers.status() }
    case 'POST /v1/reload': {
      const result = await answers.reload()
      return { status: result.reloaded ? 200 : 422, body: result }
    }
    case 'GET /v1/stops':
      return { status: 200, body: answers.stops.list() }
    default:
      return method === 'DELETE' && url.startsWith(oneStop)
        ? await lifted(url.slice(oneStop.length), uid, answers)
        : complaint(404, 'There is GET /v1/status, POST /v1/reload, GET and POST /v1/stops, DELETE /v1/stops/{id}.')
  }
}

const oneStop = '/v1/stops/'

async function ordered(request: IncomingMessage, uid: number, { stops }: Answers): Promise<Reply> {
  // A page of a browser can send other types without being asked whether it may.
  if (!/^application\/json(?:\s*;|$)/i.test(request.headers['content-type'] ?? '')) {
    return complaint(415, 'The body is application/json.')
  }
  const text = await bodyOf(request)
  if (text === undefined) return complaint(413, `A body has at most ${largestBody} bytes.`)
  const order = orderSchema.safeParse(jsonOf(text))
  if (!order.success) return complaint(422, faultsOf(order.error))
  return outcome(201, await stops.order(order.data, uid))
}

async function lifted(written: string, uid: number, { stops }: Answers): Promise<Reply> {
  const id = decoded(written)
  const result = id === undefined ? undefined : await stops.lift(id, uid).catch((error: Error) => error)
  if (result instanceof Error) return complaint(409, result.message)
  return result === undefined ? complaint(404, 'There is no such stop.') : outcome(200, result)
}

/** 202 (Accepted): it is in effect, and not yet on the disk. */
const outcome = (status: number, body: AdminOutcome): Reply => ({ status: body.written ? status : 202, body })

const complaint = (status: number, error: string): Reply => ({ status, body: { error } })

/** @returns undefined when it is too long */
async function bodyOf(request: IncomingMessage): Promise<string | undefined> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of request) {
    size += chunk.length
    if (size > largestBody) return undefined
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function decoded(written: string): string | undefined {
  try {
    return decodeURIComponent(written)
  } catch {
    return undefined
  }
}
