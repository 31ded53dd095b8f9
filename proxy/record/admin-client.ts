// Asks a running proxy, over its admin socket.
import { request } from 'node:http'
import type { z } from 'zod'
import type { Stopped } from '../../policy/stop/stop.ts'
import { type AdminReload, type AdminStatus, adminError, adminReload, adminStatus } from './admin-protocol.ts'
import { type AdminOutcome, type AdminStops, adminOutcome, adminStops } from './admin-stops.ts'

// Ten thousand stops are listed in one answer.
const longest = 1 << 24

/** @throws when nobody answers, or not what was agreed */
export async function askStatus(socket: string): Promise<AdminStatus> {
  return ask(socket, 'GET', '/v1/status', adminStatus)
}

/** @throws as `askStatus`; a configuration that was refused is an answer */
export async function askReload(socket: string): Promise<AdminReload> {
  return ask(socket, 'POST', '/v1/reload', adminReload)
}

export async function askStops(socket: string): Promise<AdminStops> {
  return ask(socket, 'GET', '/v1/stops', adminStops)
}

/** An order as it is sent: the duration as people write it. */
export interface OrderSent {
  readonly what: Stopped
  readonly reason: string
  readonly for?: string
}

/** @throws as `askStatus`; a stop that is not written down is an answer */
export async function askToStop(socket: string, order: OrderSent): Promise<AdminOutcome> {
  return ask(socket, 'POST', '/v1/stops', adminOutcome, order)
}

export async function askToLift(socket: string, id: string): Promise<AdminOutcome> {
  return ask(socket, 'DELETE', `/v1/stops/${encodeURIComponent(id)}`, adminOutcome)
}

async function ask<T>(socket: string, method: string, path: string, schema: z.ZodType<T>, body?: object): Promise<T> {
  const text = await exchange(socket, method, path, body === undefined ? '' : JSON.stringify(body))
  const value: unknown = JSON.parse(text)
  const complaint = adminError.safeParse(value)
  if (complaint.success) throw new Error(complaint.data.error)
  return schema.parse(value)
}

function exchange(socketPath: string, method: string, path: string, body: string): Promise<string> {
  const headers = {
    host: 'postern',
    'content-length': Buffer.byteLength(body),
    ...(body === '' ? {} : { 'content-type': 'application/json' }),
  }
  return new Promise((resolve, reject) => {
    const asked = request({ socketPath, method, path, timeout: 10_000, headers }, (response) => {
      let text = ''
      response.setEncoding('utf8')
      response.on('data', (chunk: string) => {
        text += chunk
        if (text.length > longest) asked.destroy(new Error('the answer is too long'))
      })
      response.on('end', () => resolve(text))
      response.on('error', reject)
    })
    asked.on('timeout', () => asked.destroy(new Error(`no answer on ${socketPath}`)))
    asked.on('error', (error: NodeJS.ErrnoException) => reject(explained(error, socketPath)))
    asked.end(body)
  })
}

function explained(error: NodeJS.ErrnoException, socketPath: string): Error {
  switch (error.code) {
    case 'ENOENT':
    case 'ECONNREFUSED':
      return new Error(`no proxy is running on ${socketPath}`, { cause: error })
    case 'EACCES':
    case 'ECONNRESET':
    case 'EPIPE':
      return new Error(`the proxy on ${socketPath} belongs to another user`, { cause: error })
    default:
      return error
  }
}
