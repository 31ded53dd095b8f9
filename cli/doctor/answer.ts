// One request as an agent would send it: past every library's own ideas of proxies and trust, so that what is seen is the wall's doing.
import { type IncomingMessage, request as plainRequest, type RequestOptions } from 'node:http'
import { connect, isIP, type Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { connect as connectTls, type TLSSocket } from 'node:tls'

export interface Answer {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  /** No more than its beginning. */
  readonly body: string
  /** The server's certificate, DER; undefined without TLS. */
  readonly certificate: Uint8Array | undefined
}

export interface Way {
  /** The proxy to be asked; undefined where connections are redirected. */
  readonly proxy: URL | undefined
  /** The address to connect to in place of the host's own; without a proxy only. */
  readonly address?: string
}

const longestBody = 65_536

/**
 * The certificate is not judged, since that is another check's business: nothing that is worth anything to others may
 * stand in the request.
 * @throws when there is no answer
 */
export async function ask(url: URL, way: Way, signal: AbortSignal): Promise<Answer> {
  const host = url.hostname.replace(/^\[|\]$/g, '')
  const port = Number(url.port || (url.protocol === 'https:' ? 443 : 80))
  const socket = await reach(host, port, url, way, signal)
  try {
    const secure = url.protocol === 'https:' ? await secured(socket, host, signal) : undefined
    const path = way.proxy !== undefined && secure === undefined ? url.href : `${url.pathname}${url.search}`
    const headers: Record<string, string> = { host: url.host, accept: '*/*', connection: 'close' }
    if (way.proxy !== undefined && secure === undefined) Object.assign(headers, proof(way.proxy))
    const answer = await exchange(secure ?? socket, { method: 'GET', path, headers, signal })
    return { ...answer, certificate: secure?.getPeerX509Certificate()?.raw }
  } finally {
    socket.destroy()
  }
}

async function reach(host: string, port: number, url: URL, { proxy, address }: Way, signal: AbortSignal) {
  if (proxy === undefined) return connected(address ?? host, port, signal)
  const socket = await connected(proxy.hostname.replace(/^\[|\]$/g, ''), Number(proxy.port || 80), signal)
  if (url.protocol === 'https:') await tunnelled(socket, host.includes(':') ? `[${host}]` : host, port, proxy, signal)
  return socket
}

function connected(host: string, port: number, signal: AbortSignal): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port, signal })
    socket.once('connect', () => resolve(socket))
    socket.once('error', reject)
  })
}

function tunnelled(socket: Socket, host: string, port: number, proxy: URL, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const headers = { host: `${host}:${port}`, ...proof(proxy) }
    const asking = plainRequest({
      method: 'CONNECT',
      path: `${host}:${port}`,
      headers,
      signal,
      createConnection: () => socket,
    })
    asking.once('connect', (answer) => {
      if (answer.statusCode === 200) return resolve()
      const reason = answer.headers['postern-reason']
      reject(new Refused(answer.statusCode ?? 0, typeof reason === 'string' ? reason : undefined))
    })
    asking.once('error', reject)
    asking.end()
  })
}

/** The answer to a CONNECT that was not granted. */
export class Refused extends Error {
  readonly reason: string | undefined

  constructor(status: number, reason: string | undefined) {
    super(`CONNECT was answered ${status}${reason === undefined ? '' : `: ${reason}`}`)
    this.reason = reason
  }
}

function secured(socket: Socket, host: string, signal: AbortSignal): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    const secure = connectTls({ socket, ...(isIP(host) === 0 ? { servername: host } : {}), rejectUnauthorized: false })
    const abort = () => secure.destroy(new Error('no answer in time'))
    signal.addEventListener('abort', abort, { once: true })
    secure.once('secureConnect', () => resolve(secure))
    secure.once('error', reject)
    secure.once('close', () => {
      signal.removeEventListener('abort', abort)
      reject(new Error('the connection was closed during the TLS handshake'))
    })
  })
}

function exchange(stream: Duplex, options: RequestOptions): Promise<Omit<Answer, 'certificate'>> {
  return new Promise((resolve, reject) => {
    const asking = plainRequest({ ...options, createConnection: () => stream as Socket }, (answer: IncomingMessage) => {
      let body = ''
      const headers = Object.fromEntries(
        Object.entries(answer.headers).map(([name, value]) => [
          name,
          Array.isArray(value) ? value.join(', ') : (value ?? ''),
        ]),
      )
      const done = () => resolve({ status: answer.statusCode ?? 0, headers, body })
      answer.setEncoding('utf8')
      answer.on('data', (text: string) => {
        body += text
        if (body.length > longestBody) done()
      })
      answer.on('end', done)
      answer.on('error', reject)
    })
    asking.once('error', reject)
    asking.end()
  })
}

/** Basic (RFC 7617), as every client makes it of a proxy URL. */
function proof({ username, password }: URL): Record<string, string> {
  if (username === '' && password === '') return {}
  const pair = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`
  return { 'proxy-authorization': `Basic ${Buffer.from(pair).toString('base64')}` }
}
