// Opens the DNS stub, and remembers what it gave out for the connections that follow.
import { Answerer, mostAsked } from '../../proxy/dns/answer.ts'
import { Pins } from '../../proxy/dns/pins.ts'
import type { DnsSettings } from '../../proxy/dns/settings.ts'
import { DnsStub } from '../../proxy/dns/stub.ts'
import { NewNames } from '../../proxy/dns/tunnels.ts'
import { doorHost } from '../../proxy/door/door.ts'
import { Lookups } from '../../proxy/forward/lookups.ts'
import { addressBytes } from '../../proxy/identify/kernel/tcp-ends.ts'
import type { House } from './house.ts'
import type { Room } from './room.ts'

/** Where the proxy's own name leads: nobody is there (RFC 5737), and a connection to it is turned round to us like any other. */
const doorAddress = '192.0.2.80'

/** In a room of its own a caller would look for a host of this machine's loopback in there, so it is told these in its place. */
const hereV4 = '192.0.2.81'
const hereV6 = '2001:db8::81'

/** Resolvers of callers ask again after as many milliseconds. */
const patience = 5_000

type Allowed = (host: string) => { readonly below: string | undefined } | undefined

/**
 * @param room where callers are, unless here: DNS is answered in there and nowhere else
 * @returns the names for which an address was given out lately
 */
export async function openDns(
  settings: DnsSettings | undefined,
  allowed: Allowed,
  ports: Set<number>,
  { now, resolve, metrics, closes }: House,
  room?: Room,
): Promise<(address: string) => readonly string[]> {
  const pins = new Pins(now)
  if (settings === undefined && room === undefined) return () => []
  const lookups = new Lookups(resolve, patience, mostAsked)
  const answerer = new Answerer({
    allowed: (host) => (host === doorHost ? { below: undefined } : allowed(host)),
    async resolve(host) {
      if (host === doorHost) return [doorAddress]
      const addresses = await lookups.addressesOf(host)
      return room === undefined ? addresses : addresses.map(reachable)
    },
    pins,
    newNames: new NewNames(now),
  })
  const options = { answerer, addressBytes, onResult: (result: string) => metrics.dnsQueries.add(1, result) }
  for (const { datagrams, streams } of room?.dns ?? []) {
    const stub = await DnsStub.adopt(datagrams, streams, options)
    closes(() => stub.close())
  }
  for (const address of (room === undefined && settings?.listen) || []) {
    if (address.kind !== 'tcp') continue
    const stub = await DnsStub.open(address, options)
    closes(() => stub.close())
    ports.add(stub.port)
  }
  return (address) => pins.namesOf(address)
}

/** The proxy itself goes on to where the name leads. */
function reachable(address: string): string {
  if (address.startsWith('127.')) return hereV4
  return address === '::1' ? hereV6 : address
}
