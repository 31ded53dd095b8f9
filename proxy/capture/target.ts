// Makes the target of a request canonical, once. What can be read in two ways is refused, never repaired.
import { isIPv4, SocketAddress } from 'node:net'
import type { HostName, Target } from '../exchange.ts'
import { Refusal } from '../refusal.ts'

export interface Authority {
  readonly host: HostName
  /** Undefined when none was written. */
  readonly port: number | undefined
}

const defaultPorts = { http: 80, https: 443 } as const
const dnsName = /^(?!-)[a-z0-9_-]{1,63}(?:\.(?!-)[a-z0-9_-]{1,63})*$/
// The last label of a name is not a number; what looks like one is an address in some notation (WHATWG URL, "ends in a number").
const endsInNumber = /(?:^|\.)(?:\d+|0x[0-9a-f]*)$/
const ipv4 = /^(?:0|[1-9]\d{0,2})(?:\.(?:0|[1-9]\d{0,2})){3}$/

const ambiguous = (detail: string) => new Refusal('ambiguous_target', { detail })

/**
 * A host as written in a URL, a Host field or a CONNECT: a name, an IPv4 address in plain dotted decimal, or an IPv6
 * address in brackets (RFC 3986 §3.2.2). Octal, hexadecimal, shortened and IPv4-mapped notations are refused.
 */
export function canonicalHost(text: string): HostName {
  if (text.startsWith('[')) return canonicalIpv6(text)
  const host = text.toLowerCase()
  if (endsInNumber.test(host)) {
    if (!ipv4.test(host) || !isIPv4(host)) throw ambiguous('an address that is not plain dotted decimal')
    return host as HostName
  }
  if (host.length > 253 || !dnsName.test(host)) throw ambiguous('not a host name')
  return host as HostName
}

function canonicalIpv6(text: string): HostName {
  if (!text.endsWith(']') || !/^\[[0-9a-fA-F:.]{2,45}\]$/.test(text)) throw ambiguous('not an IPv6 address')
  let address: string
  try {
    address = new SocketAddress({ address: text.slice(1, -1), family: 'ipv6' }).address
  } catch {
    throw ambiguous('not an IPv6 address')
  }
  if (address.includes('.') || address.startsWith('::ffff:')) throw ambiguous('an IPv4 address written as IPv6')
  return address as HostName
}

/** `host[:port]`, as in Host and CONNECT (RFC 9110 §7.2, RFC 9112 §3.2.3). No user information, no empty port. */
export function parseAuthority(text: string): Authority {
  const colon = text.lastIndexOf(':')
  const hasPort = colon > text.lastIndexOf(']')
  if (text.includes('@')) throw ambiguous('user information in the authority')
  if (!hasPort) return { host: canonicalHost(text), port: undefined }
  const digits = text.slice(colon + 1)
  if (!/^[1-9]\d{0,4}$/.test(digits)) throw ambiguous('not a port')
  const port = Number.parseInt(digits, 10)
  if (port > 65_535) throw ambiguous('a port out of range')
  return { host: canonicalHost(text.slice(0, colon)), port }
}

const plainPath = /^(?:\/[A-Za-z0-9\-_~!$&'()*+,;=:@.]*)+$/
const pathCharacters = /^\/(?:[A-Za-z0-9\-._~!$&'()*+,;=:@/|[\]^{}"`<>]|%[0-9a-fA-F]{2})*$/
const queryCharacters = /^\?(?:[A-Za-z0-9\-._~!$&'()*+,;=:@/?|[\]^{}"`<>\\]|%[0-9a-fA-F]{2})*$/
// A segment of dots alone, also with parameters behind it, which some servers cut off before they resolve dots.
const dotSegment = /\/\.{1,2}(?:;[^/]*)?(?:\/|$)/

/**
 * The path in its one form (RFC 3986 §6.2.2): unreserved characters decoded, hexadecimal in upper case. Dot segments,
 * empty segments, backslashes, control characters and broken percent sequences are refused, encoded or not; an encoded
 * slash stays inside its segment.
 */
export function canonicalPath(path: string): string {
  if (plainPath.test(path) && !path.includes('//') && !path.includes('/.')) return path
  if (!pathCharacters.test(path)) throw ambiguous('a character or percent sequence that a path cannot hold')
  const canonical = path.includes('%') ? path.replace(/%[0-9a-fA-F]{2}/g, canonicalOctet) : path
  if (dotSegment.test(canonical)) throw ambiguous('a dot segment')
  if (canonical.includes('//')) throw ambiguous('an empty path segment')
  return canonical
}

function canonicalOctet(sequence: string): string {
  const code = Number.parseInt(sequence.slice(1), 16)
  if (code < 0x20 || code === 0x7f) throw ambiguous('an encoded control character')
  if (code === 0x5c) throw ambiguous('an encoded backslash')
  const character = String.fromCharCode(code)
  return /[A-Za-z0-9\-._~]/.test(character) ? character : sequence.toUpperCase()
}

function canonicalQuery(query: string): string {
  if (query !== '' && !queryCharacters.test(query))
    throw ambiguous('a character or percent sequence that a query cannot hold')
  return query
}

/** Path and query of an origin-form request target (RFC 9112 §3.2.1). */
export function parseOriginForm(text: string): Pick<Target, 'path' | 'query'> {
  if (!text.startsWith('/')) throw new Refusal('bad_request', { detail: 'the request target is not in origin-form' })
  if (text.includes('#')) throw new Refusal('bad_request', { detail: 'a fragment in the request target' })
  const mark = text.indexOf('?')
  if (mark === -1) return { path: canonicalPath(text), query: '' }
  return { path: canonicalPath(text.slice(0, mark)), query: canonicalQuery(text.slice(mark)) }
}

/** An absolute-form request target, as sent to a proxy (RFC 9112 §3.2.2). */
export function parseAbsoluteForm(text: string): Target {
  const match = /^(https?):\/\/([^/?#]*)(.*)$/i.exec(text)
  if (match === null) throw new Refusal('bad_request', { detail: 'the request target is not in absolute-form' })
  const [, schemeText = '', authority = '', rest = ''] = match
  const scheme = schemeText.toLowerCase() === 'https' ? 'https' : 'http'
  const { host, port } = parseAuthority(authority)
  const origin = parseOriginForm(rest === '' || rest.startsWith('?') ? `/${rest}` : rest)
  return { scheme, host, port: port ?? defaultPorts[scheme], ...origin }
}

/** Throws `misdirected` unless Host names the place that the connection, or the absolute-form target, is for. */
export function agree(host: string, place: Pick<Target, 'scheme' | 'host' | 'port'>): void {
  // Most clients write it exactly so; whatever else means the same is read with care.
  if (host === place.host && place.port === defaultPorts[place.scheme]) return
  const authority = parseAuthority(host)
  if (authority.host !== place.host || (authority.port ?? defaultPorts[place.scheme]) !== place.port) {
    throw new Refusal('misdirected', { detail: 'Host names another place than the connection or the request target' })
  }
}
