// Tells whether an address may be connected to. Pure: no name is resolved here, nothing is remembered.
import { BlockList, isIPv4, isIPv6, SocketAddress } from 'node:net'

type Family = 'ipv4' | 'ipv6'

export type Verdict = { readonly allowed: true } | { readonly allowed: false; readonly range: string }

/** Why an address is not an ordinary public one: IANA special-purpose registries (RFC 6890), by name for the record. */
const specialIpv4: readonly (readonly [string, string])[] = [
  ['0.0.0.0/8', 'this network'],
  ['10.0.0.0/8', 'private'],
  ['100.64.0.0/10', 'shared address space'],
  ['127.0.0.0/8', 'loopback'],
  ['169.254.0.0/16', 'link-local'],
  ['172.16.0.0/12', 'private'],
  ['192.0.0.0/24', 'protocol assignments'],
  ['192.0.2.0/24', 'documentation'],
  ['192.31.196.0/24', 'AS112'],
  ['192.52.193.0/24', 'AMT'],
  ['192.88.99.0/24', '6to4 relay'],
  ['192.168.0.0/16', 'private'],
  ['192.175.48.0/24', 'AS112'],
  ['198.18.0.0/15', 'benchmarking'],
  ['198.51.100.0/24', 'documentation'],
  ['203.0.113.0/24', 'documentation'],
  ['224.0.0.0/4', 'multicast'],
  ['240.0.0.0/4', 'reserved'],
]

const specialIpv6: readonly (readonly [string, string])[] = [
  ['::/96', 'unspecified, loopback or IPv4-compatible'],
  ['::ffff:0:0/96', 'IPv4-mapped'],
  ['64:ff9b::/96', 'NAT64'],
  ['64:ff9b:1::/48', 'local NAT64'],
  ['100::/64', 'discard'],
  ['100:0:0:1::/64', 'dummy prefix'],
  ['2001::/23', 'protocol assignments, Teredo among them'],
  ['2001:db8::/32', 'documentation'],
  ['2002::/16', '6to4'],
  ['2620:4f:8000::/48', 'AS112'],
  ['3fff::/20', 'documentation'],
  ['5f00::/16', 'segment routing'],
  ['fc00::/7', 'unique local'],
  ['fe80::/10', 'link-local'],
  ['fec0::/10', 'site-local'],
  ['ff00::/8', 'multicast'],
]

/** Metadata services of the clouds: whoever reaches one holds the node's credential. Some stand at public addresses. */
const metadata: readonly string[] = [
  '169.254.169.254', // AWS, GCP, Azure, Oracle, OpenStack, DigitalOcean
  '169.254.170.2', // AWS ECS
  '169.254.170.23', // AWS EKS Pod Identity
  '169.254.169.253', // AWS DNS
  '169.254.169.123', // AWS time
  '169.254.0.23', // Tencent
  '100.100.100.200', // Alibaba
  '168.63.129.16', // Azure wire server
  '192.0.0.192', // Oracle, classic
  'fd00:ec2::254', // AWS
  'fd00:ec2::23', // AWS EKS Pod Identity
  'fd20:ce::254', // GCP
]

function blockList(cidrs: readonly string[]): BlockList {
  const list = new BlockList()
  for (const cidr of cidrs) addRange(list, cidr)
  return list
}

function addRange(list: BlockList, cidr: string): void {
  const [address = '', bits] = cidr.split('/')
  const family = isIPv4(address) ? 'ipv4' : 'ipv6'
  list.addSubnet(address, bits === undefined ? (family === 'ipv4' ? 32 : 128) : Number(bits), family)
}

const named = (table: readonly (readonly [string, string])[]) =>
  table.map(([cidr, name]) => ({ list: blockList([cidr]), name }))
const ipv4Ranges = named(specialIpv4)
const ipv6Ranges = named(specialIpv6)
const metadataList = blockList(metadata)

/** Ranges that a destination means. A metadata address counts as meant only when it is listed by itself. */
export class AllowedRanges {
  /** A list for each family: Node's own finds an IPv4 address in the IPv6 range that holds its mapped form, such as `::/64`. */
  readonly #ranges: Readonly<Record<Family, BlockList>>
  readonly #single: BlockList

  /** @param cidrs such as `10.20.0.0/16`, `fd12::/48`, `169.254.169.254` */
  constructor(cidrs: readonly string[]) {
    const ipv6 = cidrs.filter((cidr) => cidr.includes(':'))
    this.#ranges = { ipv4: blockList(cidrs.filter((cidr) => !cidr.includes(':'))), ipv6: blockList(ipv6) }
    this.#single = blockList(cidrs.filter((cidr) => !cidr.includes('/') || /^[^:]*\/32$|:.*\/128$/.test(cidr)))
  }

  /** @param address an IPv4 or IPv6 address as a resolver gives it, without zone */
  verdict(address: string): Verdict {
    if (isIPv4(address)) return this.#judge(address, 'ipv4', ipv4Ranges)
    if (!isIPv6(address) || address.includes('%')) return { allowed: false, range: 'not an address' }
    const mapped = embeddedIpv4(address)
    // A mapped address is the IPv4 address to the kernel, so it is judged as that.
    if (mapped?.form === 'mapped') return this.verdict(mapped.address)
    if (mapped !== undefined) {
      const inner = this.verdict(mapped.address)
      if (!inner.allowed) return inner
    }
    return this.#judge(address, 'ipv6', ipv6Ranges)
  }

  #judge(
    address: string,
    family: Family,
    ranges: readonly { readonly list: BlockList; readonly name: string }[],
  ): Verdict {
    if (metadataList.check(address, family)) {
      return this.#single.check(address, family) ? { allowed: true } : { allowed: false, range: 'cloud metadata' }
    }
    const special = ranges.find(({ list }) => list.check(address, family))
    if (special === undefined || this.#ranges[family].check(address, family)) return { allowed: true }
    return { allowed: false, range: special.name }
  }
}

/** The IPv4 address inside a mapped, NAT64 (RFC 6052 §2.1), 6to4 (RFC 3056) or IPv4-compatible address. */
function embeddedIpv4(
  address: string,
): { readonly form: 'mapped' | 'translated'; readonly address: string } | undefined {
  const words = wordsOf(address)
  const dotted = (high: number, low: number) => [high >> 8, high & 0xff, low >> 8, low & 0xff].join('.')
  const zeros = (count: number) => words.slice(0, count).every((word) => word === 0)
  const [w0 = 0, w1 = 0, w2 = 0, , , w5 = 0, w6 = 0, w7 = 0] = words
  if (zeros(5) && w5 === 0xffff) return { form: 'mapped', address: dotted(w6, w7) }
  if (w0 === 0x64 && w1 === 0xff9b) return { form: 'translated', address: dotted(w6, w7) }
  if (w0 === 0x2002) return { form: 'translated', address: dotted(w1, w2) }
  if (zeros(6) && (w6 !== 0 || w7 > 1)) return { form: 'translated', address: dotted(w6, w7) }
  return undefined
}

/** The eight groups of an IPv6 address. */
function wordsOf(address: string): number[] {
  const text = new SocketAddress({ address, family: 'ipv6' }).address.replace(/\d+\.\d+\.\d+\.\d+$/, (tail) => {
    const [a = 0, b = 0, c = 0, d = 0] = tail.split('.').map(Number)
    return `${(a * 256 + b).toString(16)}:${(c * 256 + d).toString(16)}`
  })
  const [head = '', tail] = text.split('::')
  const groups = (part: string) => (part === '' ? [] : part.split(':').map((group) => Number.parseInt(group, 16)))
  if (tail === undefined) return groups(head)
  const before = groups(head)
  const after = groups(tail)
  return [...before, ...new Array<number>(8 - before.length - after.length).fill(0), ...after]
}
