// The rules as one nftables table for IPv4 and IPv6, which the kernel takes as a whole or not at all.
import { metadataV4, metadataV6 } from './metadata.ts'
import { describePlan, type Plan, portRange, proxysMark, type Wall } from './plan.ts'

/** Named counters of the table, and what each counts: packets, the first of each connection for TCP. */
export const counters = {
  captured: 'TCP connections turned round to the proxy',
  dns: 'DNS packets turned round to the stub',
  metadata: 'attempts at a metadata address',
  past_tcp: 'TCP packets that came past the redirection',
  quic: 'UDP packets to port 443',
  past_udp: 'other UDP packets',
  ping: 'ICMP packets',
  protocols: 'packets of any other protocol',
  forwarded: 'packets of namespaces inside this one',
} as const

export type Counter = keyof typeof counters

/** Those that count attempts to leave past the proxy. */
export const escapes: readonly Counter[] = [
  'metadata',
  'past_tcp',
  'quic',
  'past_udp',
  'ping',
  'protocols',
  'forwarded',
]

export const tableName = 'postern'

/** @param name of the table; `dormant` makes one that the kernel knows and does not apply */
export function nftTable(plan: Wall, name = tableName, dormant = false): string {
  const { uid, dnsPort, inbound } = plan
  const metadata = [`ip daddr { ${metadataV4.join(', ')} }`, `ip6 daddr { ${metadataV6.join(', ')} }`]
  const dns =
    dnsPort === undefined ? [] : ['udp', 'tcp'].map((of) => `${of} dport 53 counter name dns redirect to :${dnsPort}`)
  return block(`table inet ${name}`, [
    `comment "${describePlan(plan)}"`,
    ...(dormant ? ['flags dormant'] : []),
    ...Object.keys(counters).map((counter) => `counter ${counter} {}`),
    block('chain turn', [
      'type nat hook output priority -100; policy accept;',
      ...(uid === undefined ? [] : [`meta skuid ${uid} return`]),
      // Before loopback: a resolver there would ask further for whoever asks it.
      ...dns,
      'fib daddr type local return',
      // Not to the proxy either: it is no place that anybody asks for by name.
      ...metadata.map((match) => `${match} return`),
      `meta l4proto tcp counter name captured redirect to :${portRange(plan)}`,
    ]),
    block('chain guard', [
      'type filter hook output priority 0; policy drop;',
      ...(uid === undefined ? [] : exempt(uid)),
      'icmpv6 type { nd-router-solicit, nd-neighbor-solicit, nd-neighbor-advert } accept',
      'goto others',
    ]),
    block('chain others', [
      // What was turned round; its interface is still the one by which it would have left.
      'ct status dnat accept',
      'fib daddr type local accept',
      ...(inbound ? ['meta l4proto tcp ct direction reply accept'] : []),
      ...metadata.flatMap((match) => [
        `${match} meta l4proto tcp counter name metadata reject with tcp reset`,
        `${match} counter name metadata reject with icmpx admin-prohibited`,
      ]),
      'meta l4proto tcp counter name past_tcp reject with tcp reset',
      // An error at once lets a QUIC client go back to TCP; silence would cost it seconds.
      'udp dport 443 counter name quic reject with icmpx admin-prohibited',
      'meta l4proto udp counter name past_udp reject with icmpx admin-prohibited',
      // ICMP and ICMPv6 by number: their names are in /etc/protocols, which a small image does not have.
      'meta l4proto { 1, 58 } counter name ping drop',
      'counter name protocols drop',
    ]),
    // What a container inside this one sends never comes by the output.
    block('chain inside', ['type filter hook forward priority 0; policy drop;', 'counter name forwarded drop']),
  ])
}

/** The proxy's own packets, and those that no socket owns: after these lines come the kernel's own words alone. */
function exempt(uid: number): string[] {
  const mark = `0x${proxysMark.toString(16)}`
  return [
    `meta skuid ${uid} ct mark set ct mark | ${mark} accept`,
    `meta skuid != ${uid} goto others`,
    `ct mark & ${mark} == ${mark} accept`,
  ]
}

/** Takes the place of whatever table there was, in one transaction. */
export function nftRuleset(plan: Plan): string {
  return `table inet ${tableName}\ndelete table inet ${tableName}\n${nftTable(plan)}`
}

function block(head: string, lines: readonly string[]): string {
  const inside = lines.flatMap((line) => line.trimEnd().split('\n')).map((line) => `  ${line}\n`)
  return `${head} {\n${inside.join('')}}\n`
}
