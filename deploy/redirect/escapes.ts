// Tries to get out past the proxy in each way that needs no privilege, as a program that means to. Run as a user who is not the exempted one.
import { createSocket } from 'node:dgram'
import { connect } from 'node:net'
import { networkInterfaces } from 'node:os'
import { askDnsOverTcp, askDnsOverUdp, dnsTypes } from './dns-attempts.ts'

/** What the attempts have in common. */
export type Way = 'tcp' | 'udp' | 'quic' | 'metadata' | 'dns-udp' | 'dns-tcp' | 'ipv6'

export interface Attempt {
  readonly way: Way
  readonly name: string
  /** Whether the wall held. */
  readonly held: boolean
  /** What it got. */
  readonly got: string
}

type Result = Pick<Attempt, 'held' | 'got'>

interface Plan {
  readonly way: Way
  readonly name: string
  readonly attempt: () => Promise<Result>
}

/** Milliseconds that an attempt may take; one that gets no answer has got somewhere. */
const patience = 3_000

/** Addresses for documentation (RFC 5737, RFC 3849): nobody is there, whatever leaves; a room of `exec` has 192.0.2.1 itself. */
export const nowhere = { v4: '198.51.100.1', v6: '2001:db8::1' } as const

/** Errors of a connection or datagram that went nowhere. */
const refusals = ['ECONNREFUSED', 'ECONNRESET', 'EPERM', 'EACCES', 'ENETUNREACH', 'EHOSTUNREACH']

/**
 * TCP counts as held where it ends at the proxy or is refused at once; UDP where sending it fails; DNS where the proxy
 * answers it, or nobody.
 * @param dns whether DNS is answered by the proxy, or rejected like everything else
 * @param ways those that are wanted; all of them without it
 */
export async function tryEscapes(dns: boolean, ways?: readonly Way[]): Promise<readonly Attempt[]> {
  const plans = [...overV4(dns), ...(hasIpv6() ? overV6(dns) : [])]
  const wanted = plans.filter(({ way }) => ways === undefined || ways.includes(way))
  return Promise.all(wanted.map(async ({ way, name, attempt }) => ({ way, name, ...(await attempt()) })))
}

function overV4(dns: boolean): Plan[] {
  const { v4 } = nowhere
  return [
    { way: 'tcp', name: 'TCP to an address', attempt: () => overTcp(v4, 443) },
    { way: 'tcp', name: 'TCP to another port', attempt: () => overTcp(v4, 2_222) },
    { way: 'tcp', name: 'DNS over TLS', attempt: () => overTcp(v4, 853) },
    { way: 'udp', name: 'UDP', attempt: () => overUdp(v4, 9_999) },
    { way: 'quic', name: 'QUIC', attempt: () => overUdp(v4, 443) },
    { way: 'metadata', name: 'metadata address', attempt: () => atMetadata('169.254.169.254') },
    { way: 'metadata', name: 'metadata address of Alibaba', attempt: () => atMetadata('100.100.100.200') },
    { way: 'metadata', name: 'metadata address by UDP', attempt: () => overUdp('169.254.169.254', 9_999) },
    ...(dns
      ? ([
          { way: 'dns-udp', name: 'DNS to any resolver', attempt: () => whoAnswers(v4) },
          { way: 'dns-udp', name: 'data in a name', attempt: () => tunnel(v4) },
          { way: 'dns-tcp', name: 'DNS over TCP', attempt: () => dnsOverTcp(v4) },
        ] as const)
      : ([{ way: 'dns-udp', name: 'DNS to any resolver', attempt: () => overUdp(v4, 53) }] as const)),
  ]
}

function overV6(dns: boolean): Plan[] {
  const { v6 } = nowhere
  const attempts: readonly (readonly [name: string, attempt: () => Promise<Result>])[] = [
    ['TCP over IPv6', () => overTcp(v6, 443)],
    ['QUIC over IPv6', () => overUdp(v6, 443)],
    ['UDP over IPv6', () => overUdp(v6, 9_999)],
    ['metadata address over IPv6', () => atMetadata('fd00:ec2::254')],
    ['metadata address by NAT64', () => atMetadata('64:ff9b::a9fe:a9fe')],
    dns ? ['DNS over IPv6', () => whoAnswers(v6)] : ['DNS over IPv6', () => overUdp(v6, 53)],
  ]
  return attempts.map(([name, attempt]) => ({ way: 'ipv6', name, attempt }))
}

function overTcp(host: string, port: number): Promise<Result> {
  return new Promise((resolve) => {
    const socket = connect({ host, port })
    const settle = (held: boolean, got: string) => {
      clearTimeout(timer)
      socket.destroy()
      resolve({ held, got })
    }
    const timer = setTimeout(() => settle(false, 'no answer, so it left'), patience)
    // At an address where nobody is, only the proxy accepts.
    socket.once('connect', () => settle(true, 'accepted by the proxy'))
    socket.once('error', ({ code = '' }: NodeJS.ErrnoException) => settle(refusals.includes(code), code))
  })
}

/** Somebody may be there, so that whoever accepts must say that it is the proxy. */
function atMetadata(host: string): Promise<Result> {
  return new Promise((resolve) => {
    const socket = connect({ host, port: 80 })
    let answer = ''
    const settle = (held: boolean, got: string) => {
      clearTimeout(timer)
      socket.destroy()
      resolve({ held, got })
    }
    const judge = () =>
      /^postern-request-id:/im.test(answer)
        ? settle(true, 'refused by the proxy')
        : settle(false, 'somebody else than the proxy accepted it')
    const timer = setTimeout(() => (socket.connecting ? settle(false, 'no answer, so it left') : judge()), patience)
    socket.once('connect', () => {
      const authority = host.includes(':') ? `[${host}]` : host
      socket.write(`GET / HTTP/1.1\r\nHost: ${authority}\r\nConnection: close\r\n\r\n`)
    })
    socket.on('data', (bytes) => {
      answer += bytes.toString('latin1')
      if (answer.includes('\r\n\r\n') || answer.length > 16_384) judge()
    })
    socket.once('end', judge)
    socket.once('error', ({ code = '' }: NodeJS.ErrnoException) => {
      if (answer === '') settle(refusals.includes(code), code)
      else judge()
    })
  })
}

function overUdp(host: string, port: number): Promise<Result> {
  return new Promise((resolve) => {
    const socket = createSocket(host.includes(':') ? 'udp6' : 'udp4')
    let settled = false
    const settle = (held: boolean, got: string) => {
      if (settled) return
      settled = true
      socket.close()
      resolve({ held, got })
    }
    socket.once('error', ({ code = '' }: NodeJS.ErrnoException) => settle(refusals.includes(code), code))
    socket.send('x', port, host, (error) => {
      const code = error === null ? undefined : ((error as NodeJS.ErrnoException).code ?? '')
      settle(code !== undefined && refusals.includes(code), code ?? 'sent')
    })
  })
}

/** Only the proxy has an address for its reserved name. */
async function whoAnswers(server: string): Promise<Result> {
  const told = await askDnsOverUdp(server, 'postern.internal', dnsTypes.A, patience)
  if ('error' in told) return heldBy(told.error)
  if (told.code === 0 && told.answers > 0) return { held: true, got: 'answered by the proxy' }
  return { held: false, got: `answered by somebody else, with code ${told.code}` }
}

/** A name as tools that tunnel in DNS make them, below a domain that does not exist (RFC 6761 §6.4). */
async function tunnel(server: string): Promise<Result> {
  const name = 'mzxw6ytboi4dsmjrgi3tonzrgazdgnbv.tunnel.invalid'
  const told = await askDnsOverUdp(server, name, dnsTypes.TXT, patience)
  return 'error' in told
    ? heldBy(told.error)
    : { held: told.answers === 0, got: `code ${told.code}, ${told.answers} answers` }
}

async function dnsOverTcp(server: string): Promise<Result> {
  const told = await askDnsOverTcp(server, 'postern.internal', dnsTypes.A, patience)
  if ('error' in told) return heldBy(told.error)
  if (told.code === 0 && told.answers > 0) return { held: true, got: 'answered by the proxy' }
  return { held: false, got: `answered by somebody else, with code ${told.code}` }
}

const heldBy = (code: string): Result =>
  code === 'ETIMEDOUT'
    ? { held: false, got: 'no answer, so it left' }
    : { held: [...refusals, 'EPIPE'].includes(code), got: code }

/** The resolver that this machine is given is the proxy too, wherever it is. */
export async function tryResolver(server: string): Promise<Result> {
  return whoAnswers(server)
}

/** Whether there is an address that IPv6 could leave from. */
export function hasIpv6(): boolean {
  const addresses = Object.values(networkInterfaces()).flat()
  return addresses.some((each) => each?.family === 'IPv6' && !each.internal && !each.address.startsWith('fe80'))
}
