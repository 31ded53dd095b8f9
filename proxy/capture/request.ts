// Takes the snapshot of a request's head that every later step works on, and refuses heads that two readers could read differently.
import { type IncomingMessage, METHODS } from 'node:http'
import type { Captured, Connection, Target } from '../exchange.ts'
import { Refusal } from '../refusal.ts'
import { RequestBody } from './body.ts'
import { requestId } from './request-id.ts'
import { agree, parseAbsoluteForm, parseAuthority, parseOriginForm } from './target.ts'

/** Most header fields that a head may have; each costs a look in every later step. */
export const mostFields = 200

/** Where the requests of a connection go, once CONNECT has said so. */
export type Place = Pick<Target, 'scheme' | 'host' | 'port'>

interface Framing {
  readonly host: string | undefined
  readonly hasBody: boolean
  readonly upgrade: string | undefined
}

const httpMethods: ReadonlySet<string> = new Set(METHODS)

const bad = (detail: string) => new Refusal('bad_request', { detail })

/** Reads the fields that decide where a message ends and whom it is for (RFC 9112 §3.2, §6.3). */
function framing(message: IncomingMessage): Framing {
  const fields = message.rawHeaders
  if (fields.length > 2 * mostFields) throw new Refusal('request_too_large', { detail: 'too many header fields' })
  let host: string | undefined
  let length: string | undefined
  let coding: string | undefined
  let upgrade: string | undefined
  for (let at = 0; at < fields.length; at += 2) {
    const name = fields[at] ?? ''
    const value = fields[at + 1] ?? ''
    switch (name.length) {
      case 4:
        if (name.toLowerCase() !== 'host') break
        if (host !== undefined) throw bad('more than one Host')
        host = value
        break
      case 7:
        if (name.toLowerCase() === 'upgrade') upgrade = value.toLowerCase()
        break
      case 14:
        if (name.toLowerCase() !== 'content-length') break
        if (length !== undefined || !/^\d{1,15}$/.test(value)) throw bad('Content-Length')
        length = value
        break
      case 17:
        if (name.toLowerCase() !== 'transfer-encoding') break
        if (coding !== undefined || value.toLowerCase() !== 'chunked') throw bad('Transfer-Encoding')
        coding = value
        break
    }
  }
  if (length !== undefined && coding !== undefined) throw bad('both Content-Length and Transfer-Encoding')
  if (coding !== undefined && message.httpVersion === '1.0') throw bad('Transfer-Encoding in HTTP/1.0')
  return { host, hasBody: coding !== undefined || (length !== undefined && Number(length) > 0), upgrade }
}

/**
 * @param place what CONNECT and TLS said; undefined on the proxy's own port, where a request names its target itself
 * @param upgrading the server saw `Connection: upgrade`
 * @param onBody called once, when the first byte of the body is wanted
 * @throws Refusal `bad_request`, `ambiguous_target`, `misdirected`, `self_request`, `request_too_large`
 */
export function captureRequest(
  message: IncomingMessage,
  connection: Connection,
  place: Place | undefined,
  now: number,
  upgrading: boolean,
  onBody: () => void,
): Captured {
  const { host, hasBody, upgrade } = framing(message)
  const version = message.httpVersion
  if (version !== '1.1' && version !== '1.0') throw bad('not HTTP/1.x')
  // Node's parser takes RTSP/1.0 too, and tells it as this.
  if (version === '1.0' && !httpMethods.has(message.method ?? '')) throw bad('a method of another protocol')
  if (host === undefined && version === '1.1') throw bad('no Host')
  // What comes after the head belongs to the other protocol, and would be waited for as the body.
  if (upgrading && hasBody) throw bad('Upgrade with a body')
  return {
    id: requestId(now),
    receivedAt: now,
    connection,
    method: message.method ?? '',
    target: targetOf(message.url ?? '', host, place, connection),
    headers: message.rawHeaders,
    body: hasBody ? new RequestBody(message, onBody) : undefined,
    upgrade: upgrading ? upgrade : undefined,
  }
}

function targetOf(url: string, host: string | undefined, place: Place | undefined, { original }: Connection): Target {
  if (place !== undefined) return tunnelTarget(url, host, place)
  return original === undefined ? absoluteTarget(url, host) : namedTarget(url, host, original.port)
}

/** Plain HTTP that was redirected: Host names the host, and the port is the one that was connected to. */
function namedTarget(url: string, host: string | undefined, port: number): Target {
  if (host === undefined) throw new Refusal('unnamed_target', { detail: 'no Host' })
  const named = parseAuthority(host)
  return tunnelTarget(url, host, { scheme: 'http', host: named.host, port })
}

function absoluteTarget(url: string, host: string | undefined): Target {
  if (url.startsWith('/')) throw new Refusal('self_request', { detail: 'a request to the proxy itself' })
  const target = parseAbsoluteForm(url)
  if (host !== undefined) agree(host, target)
  return target
}

/** What Host said in a tunnel where it named the right place: the requests of a connection all say the same. */
const agreed = new WeakMap<Place, string>()

function tunnelTarget(url: string, host: string | undefined, place: Place): Target {
  // A client that speaks absolute-form inside its tunnel is held to the same place.
  if (!url.startsWith('/')) {
    const target = parseAbsoluteForm(url)
    if (target.scheme !== place.scheme || target.host !== place.host || target.port !== place.port) {
      throw new Refusal('misdirected', { detail: 'the request target names another place than the connection' })
    }
    if (host !== undefined) agree(host, place)
    return target
  }
  if (host !== undefined && host !== agreed.get(place)) {
    agree(host, place)
    agreed.set(place, host)
  }
  const { path, query } = parseOriginForm(url)
  return { scheme: place.scheme, host: place.host, port: place.port, path, query }
}
