// The same rules by iptables and ip6tables, for machines without nft. Not one transaction, so whatever fails puts back what was.
import { type Backend, RedirectError } from './backend.ts'
import { metadataV4, metadataV6 } from './metadata.ts'
import type { Counter } from './nft-ruleset.ts'
import { describePlan, type Plan, portRange, proxysMark } from './plan.ts'
import type { Programs } from './programs.ts'

type Family = 4 | 6
type Table = 'filter' | 'nat'

/** The guard first, so that nothing passes while the rest is still to come. */
const tables = ['filter', 'nat'] as const
const chains = { nat: ['POSTERN_TURN'], filter: ['POSTERN_GUARD', 'POSTERN_OTHERS', 'POSTERN_INSIDE'] } as const
const isJump = (line: string) => /^-A (OUTPUT|FORWARD) /.test(line)

/** Our rules of one family in the form that iptables-save prints, table by table. */
export function iptablesRules(plan: Plan, family: Family): Readonly<Record<Table, readonly string[]>> {
  const { uid, dnsPort, inbound } = plan
  const mark = `0x${proxysMark.toString(16)}/0x${proxysMark.toString(16)}`
  const metadata: readonly string[] = family === 4 ? metadataV4 : metadataV6
  const admin = `REJECT --reject-with ${family === 4 ? 'icmp-admin-prohibited' : 'icmp6-adm-prohibited'}`
  const comment = `-m comment --comment "${describePlan(plan)}"`
  const counted = (name: Counter) => `-m comment --comment ${name}`
  const turn = (rule: string) => `-A POSTERN_TURN ${rule}`
  const guard = (rule: string) => `-A POSTERN_GUARD ${rule}`
  const others = (rule: string) => `-A POSTERN_OTHERS ${rule}`
  const dns =
    dnsPort === undefined
      ? []
      : ['udp', 'tcp'].map((of) =>
          turn(`-p ${of} -m ${of} --dport 53 ${counted('dns')} -j REDIRECT --to-ports ${dnsPort}`),
        )
  return {
    nat: [
      `-A OUTPUT ${comment} -j POSTERN_TURN`,
      turn(`-m owner --uid-owner ${uid} -j RETURN`),
      ...dns,
      turn('-m addrtype --dst-type LOCAL -j RETURN'),
      ...metadata.map((range) => turn(`-d ${range} -j RETURN`)),
      turn(`-p tcp ${counted('captured')} -j REDIRECT --to-ports ${portRange(plan)}`),
    ],
    filter: [
      `-A FORWARD ${comment} -j POSTERN_INSIDE`,
      `-A OUTPUT ${comment} -j POSTERN_GUARD`,
      guard(`-m owner --uid-owner ${uid} -j CONNMARK --set-xmark ${mark}`),
      guard(`-m owner --uid-owner ${uid} -j ACCEPT`),
      guard('-m owner --socket-exists -j POSTERN_OTHERS'),
      guard(`-m connmark --mark ${mark} -j ACCEPT`),
      ...(family === 6
        ? [133, 135, 136].map((type) => guard(`-p ipv6-icmp -m icmp6 --icmpv6-type ${type} -j ACCEPT`))
        : []),
      guard('-j POSTERN_OTHERS'),
      others('-m conntrack --ctstate DNAT -j ACCEPT'),
      others('-m addrtype --dst-type LOCAL -j ACCEPT'),
      ...(inbound ? [others('-p tcp -m conntrack --ctdir REPLY -j ACCEPT')] : []),
      ...metadata.flatMap((range) => [
        others(`-d ${range} -p tcp ${counted('metadata')} -j REJECT --reject-with tcp-reset`),
        others(`-d ${range} ${counted('metadata')} -j ${admin}`),
      ]),
      others(`-p tcp ${counted('past_tcp')} -j REJECT --reject-with tcp-reset`),
      others(`-p udp -m udp --dport 443 ${counted('quic')} -j ${admin}`),
      others(`-p udp ${counted('past_udp')} -j ${admin}`),
      others(`-p ${family === 4 ? 'icmp' : 'ipv6-icmp'} ${counted('ping')} -j DROP`),
      others(`${counted('protocols')} -j DROP`),
      `-A POSTERN_INSIDE ${counted('forwarded')} -j DROP`,
    ],
  }
}

/** What iptables-restore takes: our chains made anew, the jump in front of everything else. */
function restoreText(rules: Readonly<Record<Table, readonly string[]>>, present: Snapshot | undefined): string {
  return tables
    .map((table) => {
      const jumps = (present?.[table] ?? []).filter(isJump)
      return [
        `*${table}`,
        ...chains[table].map((chain) => `:${chain} - [0:0]`),
        ...jumps.map((line) => line.replace('-A', '-D')),
        ...rules[table].map((line) => line.replace(/^-A (OUTPUT|FORWARD) /, '-I $1 1 ')),
        'COMMIT\n',
      ].join('\n')
    })
    .join('')
}

type Snapshot = Readonly<Record<Table, readonly string[]>>

/** @param variant '' for the machine's choice, '-nft' or '-legacy' */
export function iptablesBackend(programs: Programs, variant: '' | '-nft' | '-legacy'): Backend {
  const program = (family: Family, what: string) => `${family === 4 ? 'iptables' : 'ip6tables'}${variant}${what}`
  const families = [6, 4] as const

  function read(family: Family): Snapshot | undefined {
    const snapshot = { nat: saved(family, 'nat'), filter: saved(family, 'filter') }
    return snapshot.nat.length + snapshot.filter.length === 0 ? undefined : snapshot
  }

  function saved(family: Family, table: Table): string[] {
    const text = programs.run(program(family, '-save'), ['-t', table]) ?? ''
    return text.split('\n').filter((line) => /^-A (POSTERN_|(OUTPUT|FORWARD) .*-j POSTERN_)/.test(line))
  }

  function restore(family: Family, text: string, ...args: string[]): void {
    programs.run(program(family, '-restore'), ['--noflush', '-w', '10', ...args], text)
  }

  function clear(family: Family, present: Snapshot): void {
    const text = tables.toReversed().map((table) => {
      const jumps = present[table].filter(isJump)
      const all = chains[table]
      const made = all.map((chain) => `:${chain} - [0:0]`)
      const gone = [
        ...jumps.map((line) => line.replace('-A', '-D')),
        ...all.map((c) => `-F ${c}`),
        ...all.map((c) => `-X ${c}`),
      ]
      return [`*${table}`, ...made, ...gone, 'COMMIT\n'].join('\n')
    })
    restore(family, text.join(''))
  }

  return {
    name: `iptables${variant}`,
    script: (plan) =>
      families
        .map((family) => `# ${program(family, '-restore')}\n${restoreText(iptablesRules(plan, family), undefined)}`)
        .join(''),
    inForce() {
      const found = families.map((family) => [family, read(family)] as const)
      if (found.every(([, snapshot]) => snapshot === undefined)) return undefined
      return found.map(([family, snapshot]) => listing(family, snapshot)).join('')
    },
    expected: (plan) => families.map((family) => listing(family, iptablesRules(plan, family))).join(''),
    apply(plan) {
      const before = families.map((family) => ({ family, snapshot: read(family) }))
      const texts = before.map(({ family, snapshot }) => restoreText(iptablesRules(plan, family), snapshot))
      // Both families are tried before either is changed.
      for (const [index, { family }] of before.entries()) restore(family, texts[index] ?? '', '--test')
      try {
        for (const [index, { family }] of before.entries()) restore(family, texts[index] ?? '')
      } catch (error) {
        for (const { family, snapshot } of before) {
          const half = read(family)
          if (snapshot !== undefined) restore(family, restoreText(snapshot, half))
          else if (half !== undefined) clear(family, half)
        }
        const why = error instanceof Error ? error.message : String(error)
        throw new RedirectError('failed', `the rules could not be put in place, and those of before are back: ${why}`)
      }
    },
    remove() {
      for (const family of families) {
        const present = read(family)
        if (present !== undefined) clear(family, present)
      }
    },
    counts() {
      const counts: Partial<Record<Counter, number>> = {}
      for (const family of families) {
        for (const table of tables) {
          const text = programs.run(program(family, '-save'), ['-c', '-t', table]) ?? ''
          for (const [, packets, name] of text.matchAll(/^\[(\d+):\d+\] -A POSTERN_.* --comment (\w+) /gm)) {
            const counter = name as Counter
            counts[counter] = (counts[counter] ?? 0) + Number(packets)
          }
        }
      }
      return counts
    },
  }
}

function listing(family: Family, snapshot: Snapshot | undefined): string {
  return tables
    .map(
      (table) =>
        `# IPv${family}, ${table}\n${byChain(snapshot?.[table] ?? [])
          .map((line) => `${line}\n`)
          .join('')}`,
    )
    .join('')
}

/** Chains come in the order of their names or in that of their making; what counts is the order inside each. */
function byChain(lines: readonly string[]): readonly string[] {
  const chainOf = (line: string) => line.split(' ')[1] ?? ''
  return lines.toSorted((one, other) => Number(chainOf(one) > chainOf(other)) - Number(chainOf(one) < chainOf(other)))
}
