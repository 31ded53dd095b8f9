// Tries to get out past the proxy in each way that needs no privilege, as a program that means to. Run as a user who is not the exempted one.
import { createSocket } from 'node:dgram'
import { connect } from 'node:net'
import { networkInterfaces } from 'node:os'

export interface Attempt {
  readonly name: string
  /** Whether the wall held. */
  readonly held: boolean
  /** What it got. */
  readonly got: string
}

/** Milliseconds that an attempt may take; one that gets no answer has got somewhere. */
const patience = 3_000

/** Addresses for documentation (RFC 5737, RFC 3849): nobody is there, whatever leaves. */
const nowhere = { v4: '192.0.2.1', v6: '2001:db8::1' }

/**
 * TCP counts as held where it ends at the proxy or is refused at once; UDP where sending it fails.
 * @param dns whether DNS is answered by the proxy, or rejected like everything else
 */
export async function tryEscapes(dns: boolean): Promise<readonly Attempt[]> {
  const v6 = hasIpv6()
  const tcp: [string, string, number][] = [
    ['TCP to an address', nowhere.v4, 443],
    ['TCP to another port', nowhere.v4, 2_222],
    ['DNS over TLS', nowhere.v4, 853],
    ['metadata address', '169.254.169.254', 80],
    ['metadata address of Alibaba', '100.100.100.200', 80],
    ...(v6
      ? ([
          ['TCP over IPv6', nowhere.v6, 443],
          ['metadata address over IPv6', 'fd00:ec2::254', 80],
          ['metadata address by NAT64', '64:ff9b::a9fe:a9fe', 80],
        ] as [string, string, number][])
      : []),
  ]
  const udp: [string, string, number][] = [
    ['QUIC', nowhere.v4, 443],
    ['UDP', nowhere.v4, 9_999],
    ...(v6 ? ([['QUIC over IPv6', nowhere.v6, 443]] as [string, string, number][]) : []),
    ...(dns ? [] : ([['DNS to any resolver', nowhere.v4, 53]] as [string, string, number][])),
  ]
  return Promise.all([
    ...tcp.map(([name, host, port]) => overTcp(name, host, port)),
    ...udp.map(([name, host, port]) => overUdp(name, host, port)),
  ])
}

function overTcp(name: string, host: string, port: number): Promise<Attempt> {
  return new Promise((resolve) => {
    const socket = connect({ host, port })
    const settle = (held: boolean, got: string) => {
      clearTimeout(timer)
      socket.destroy()
      resolve({ name, held, got })
    }
    const timer = setTimeout(() => settle(false, 'no answer, so it left'), patience)
    // At an address where nobody is, only the proxy accepts.
    socket.once('connect', () => settle(true, 'accepted by the proxy'))
    socket.once('error', ({ code = '' }: NodeJS.ErrnoException) => {
      settle(['ECONNREFUSED', 'ECONNRESET', 'EPERM', 'EACCES'].includes(code), code)
    })
  })
}

function overUdp(name: string, host: string, port: number): Promise<Attempt> {
  return new Promise((resolve) => {
    const socket = createSocket(host.includes(':') ? 'udp6' : 'udp4')
    const settle = (held: boolean, got: string) => {
      socket.close()
      resolve({ name, held, got })
    }
    socket.once('error', ({ code = '' }: NodeJS.ErrnoException) => settle(code === 'EPERM', code))
    socket.send('x', port, host, (error) => {
      if (error === null) settle(false, 'sent')
      else settle((error as NodeJS.ErrnoException).code === 'EPERM', (error as NodeJS.ErrnoException).code ?? '')
    })
  })
}

/** Whether there is an address that IPv6 could leave from. */
function hasIpv6(): boolean {
  const addresses = Object.values(networkInterfaces()).flat()
  return addresses.some((each) => each?.family === 'IPv6' && !each.internal && !each.address.startsWith('fe80'))
}
