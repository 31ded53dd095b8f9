// What the network namespace of a command looks like: loopback alone, where every other address leads to the proxy or nowhere.
import { nftTable } from '../../../deploy/redirect/nft-ruleset.ts'

/** In a namespace of its own nobody else has taken them. */
export const ports = { redirected: 15_001, proxy: 15_002, dns: 15_053 } as const

/** So that programs find that there is IPv4 and IPv6: an address for documentation (RFC 5737), and one that is local (RFC 4193). */
const addresses = { v4: '192.0.2.1', v6: 'fdb5:9b1a:4c3e::1' } as const

/** For `ip -batch`. What leaves goes by loopback, where the rules see it; there is nothing else that it could go by. */
export const loopbackV4 = `link set lo up
addr add ${addresses.v4}/32 dev lo
route add default dev lo src ${addresses.v4}
`

/** The same, for `ip -6 -batch`. Whether somebody else has the address is not looked for: until that is known it would be no source. */
export const loopbackV6 = `addr add ${addresses.v6}/128 dev lo nodad
route add default dev lo
`

/** For `nft -f`. */
export const ruleset = nftTable({
  uid: undefined,
  port: ports.redirected,
  ports: 1,
  dnsPort: ports.dns,
  inbound: false,
})

const own: ReadonlySet<number> = new Set(Object.values(ports))

/** Whether somebody connected to one of our ports itself, and nothing turned it round to there. */
export function isOwn(address: string, port: number): boolean {
  if (!own.has(port)) return false
  return address.startsWith('127.') || address === '::1' || address === addresses.v4 || address === addresses.v6
}
