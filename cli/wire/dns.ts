// Opens the DNS stub, and remembers what it gave out for the connections that follow.
import { Answerer } from '../../proxy/dns/answer.ts'
import { Pins } from '../../proxy/dns/pins.ts'
import type { DnsSettings } from '../../proxy/dns/settings.ts'
import { DnsStub } from '../../proxy/dns/stub.ts'
import { NewNames } from '../../proxy/dns/tunnels.ts'
import { doorHost } from '../../proxy/door/door.ts'
import { addressBytes } from '../../proxy/identify/kernel/tcp-ends.ts'
import type { House } from './house.ts'

/** Where the proxy's own name leads: nobody is there (RFC 5737), and a connection to it is turned round to us like any other. */
const doorAddress = '192.0.2.80'

type Allowed = (host: string) => { readonly below: string | undefined } | undefined

/** @returns the names for which an address was given out lately */
export async function openDns(
  settings: DnsSettings | undefined,
  allowed: Allowed,
  ports: Set<number>,
  { now, resolve, metrics, closes }: House,
): Promise<(address: string) => readonly string[]> {
  const pins = new Pins(now)
  if (settings === undefined) return () => []
  const answerer = new Answerer({
    allowed: (host) => (host === doorHost ? { below: undefined } : allowed(host)),
    resolve: async (host) => (host === doorHost ? [doorAddress] : resolve(host)),
    pins,
    newNames: new NewNames(now),
  })
  for (const address of settings.listen) {
    if (address.kind !== 'tcp') continue
    const onResult = (result: string) => metrics.dnsQueries.add(1, result)
    const stub = await DnsStub.open(address, { answerer, addressBytes, onResult })
    closes(() => stub.close())
    ports.add(stub.port)
  }
  return (address) => pins.namesOf(address)
}
