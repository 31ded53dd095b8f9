// IP addresses and ranges of them, in one canonical form.
import { BlockList, isIP, isIPv4, isIPv6, SocketAddress } from 'node:net'
import * as z from 'zod'

/** What a text was read as, or what is wrong with it. */
export type Reading = { readonly value: string } | { readonly wrong: string; readonly nearest?: string | undefined }

/** A transform of zod: text → its canonical form. */
export const readBy = (reader: (text: string) => Reading) => (text: string, context: z.RefinementCtx<string>) => {
  const reading = reader(text)
  if ('value' in reading) return reading.value
  context.addIssue({ code: 'custom', message: reading.wrong, params: { nearest: reading.nearest } })
  return z.NEVER
}

export function readAddress(text: string): Reading {
  if (isIPv4(text)) return { value: text }
  return isIPv6(text) ? readIpv6(text) : { wrong: 'not an IPv4 or IPv6 address' }
}

function readIpv6(text: string): Reading {
  if (text.includes('%')) return { wrong: 'an address is written without its zone' }
  const { address } = new SocketAddress({ address: text, family: 'ipv6' })
  // Mapped and compatible addresses (RFC 4291 §2.5.5) are IPv4 addresses to whoever connects.
  const embedded = /^::(?:ffff:)?(\d+\.\d+\.\d+\.\d+)$/.exec(address)
  if (embedded === null) return { value: address }
  return { wrong: 'an IPv4 address is written in plain dotted decimal', nearest: embedded[1] }
}

// No special-purpose range is wider than these (RFC 6890: 10.0.0.0/8, fc00::/7); wider ones would switch the guard off.
const widest = { ipv4: 8, ipv6: 7 } as const
const notRange = 'not a range such as 10.20.0.0/16 or fd12::/48'

export function readRange(text: string): Reading {
  const [address = '', prefix, ...rest] = text.split('/')
  if (prefix === undefined) return isIP(address) === 0 ? { wrong: notRange } : readAddress(address)
  if (isIP(address) === 0 || !/^\d{1,3}$/.test(prefix) || rest.length > 0) return { wrong: notRange }
  const canonical = readAddress(address)
  if ('wrong' in canonical) return canonical
  const family = isIPv4(address) ? 'ipv4' : 'ipv6'
  const bits = Number(prefix)
  const size = family === 'ipv4' ? 32 : 128
  if (bits > size) return { wrong: `a prefix has at most ${size} bits` }
  if (bits < widest[family]) {
    return { wrong: `wider than any private range (at least /${widest[family]}); name the ranges that are meant` }
  }
  if (family === 'ipv6' && holdsIpv4(address, bits)) {
    return { wrong: 'this range holds every IPv4 address, as ::ffff:0:0/96; write the ranges that are meant as IPv4' }
  }
  return { value: `${canonical.value}/${bits}` }
}

/** Whether IPv4-mapped addresses are in the range: they are all of IPv4. */
function holdsIpv4(address: string, bits: number): boolean {
  const range = new BlockList()
  range.addSubnet(address, bits, 'ipv6')
  return range.check('::ffff:0:0', 'ipv6')
}

/** A range of special-purpose addresses that is meant, such as `10.20.0.0/16`, or a single address. */
export const addressRange = z.string().transform(readBy(readRange))
