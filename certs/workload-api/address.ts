// Where a Workload API is, as SPIFFE_ENDPOINT_SOCKET says it (SPIFFE Workload Endpoint §4).
import { isIP } from 'node:net'

export type WorkloadApiAddress =
  | { readonly kind: 'unix'; readonly path: string }
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number }

const faults = {
  empty: 'it is empty',
  bad_char: 'it has a control character, a space or a percent sign',
  bad_scheme: 'it begins neither with unix: nor with tcp:',
  query: 'it has a query',
  fragment: 'it has a fragment',
  unix_authority: 'a UNIX socket has three slashes before its path, and no host',
  unix_relative: 'the path of a UNIX socket must be absolute',
  unix_missing_path: 'the path of the UNIX socket is missing',
  unix_path_too_long: 'the path of a UNIX socket has at most 107 bytes',
  tcp_opaque: 'a TCP address begins with tcp://',
  tcp_user_info: 'a TCP address has no user',
  tcp_path: 'a TCP address has no path',
  tcp_missing_host: 'the IP address is missing',
  tcp_not_ip: 'the host must be an IP address',
  tcp_missing_port: 'the port is missing',
  tcp_bad_port: 'the port must be a number from 1 to 65535',
} as const

export type AddressFault = keyof typeof faults

/** Text that is no address of a Workload API. The message does not repeat the text. */
export class AddressError extends Error {
  override readonly name = 'AddressError'
  readonly code: AddressFault

  constructor(code: AddressFault) {
    super(`not the address of a Workload API: ${faults[code]}`)
    this.code = code
  }
}

/**
 * `unix:///run/spire/agent.sock` or `tcp://127.0.0.1:8081`. Percent sequences are refused, where go-spiffe decodes them:
 * no agent has a socket that needs them.
 * @throws AddressError
 */
export function parseWorkloadApiAddress(given: string): WorkloadApiAddress {
  if (given === '') throw new AddressError('empty')
  if (/[\0-\x20\x7f%]/.test(given)) throw new AddressError('bad_char')
  const [, scheme, rest = ''] = /^(unix|tcp):(.*)$/.exec(given) ?? []
  if (scheme === undefined) throw new AddressError('bad_scheme')
  if (rest.includes('#')) throw new AddressError('fragment')
  if (rest.includes('?')) throw new AddressError('query')
  return scheme === 'unix' ? unixAddress(rest) : tcpAddress(rest)
}

function unixAddress(rest: string): WorkloadApiAddress {
  const hasAuthority = rest.startsWith('//')
  const path = hasAuthority ? rest.slice(2) : rest
  if (path === '' || path === '/') throw new AddressError('unix_missing_path')
  if (!path.startsWith('/')) throw new AddressError(hasAuthority ? 'unix_authority' : 'unix_relative')
  // sun_path of sockaddr_un, without its closing NUL; what is longer would be cut off silently.
  if (Buffer.byteLength(path) > 107) throw new AddressError('unix_path_too_long')
  return { kind: 'unix', path }
}

function tcpAddress(rest: string): WorkloadApiAddress {
  if (!rest.startsWith('//')) throw new AddressError('tcp_opaque')
  const slash = rest.indexOf('/', 2)
  if (slash !== -1) throw new AddressError('tcp_path')
  const authority = rest.slice(2)
  if (authority.includes('@')) throw new AddressError('tcp_user_info')
  const [, bracketed, plain, port] = /^(?:\[([^\]]*)\]|(.*?))(?::([^:]*))?$/.exec(authority) ?? []
  const host = bracketed ?? plain
  if (host === undefined) throw new AddressError('tcp_not_ip')
  if (host === '') throw new AddressError('tcp_missing_host')
  if (isIP(host) !== (bracketed === undefined ? 4 : 6)) throw new AddressError('tcp_not_ip')
  if (port === undefined || port === '') throw new AddressError('tcp_missing_port')
  if (!/^\d{1,5}$/.test(port) || Number(port) < 1 || Number(port) > 65_535) throw new AddressError('tcp_bad_port')
  return { kind: 'tcp', host, port: Number(port) }
}
