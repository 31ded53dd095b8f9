// The rules as text; what the kernel does with them is tried in test/pod.
import { describe, expect, it } from 'vitest'
import { chooseBackend } from '../../../deploy/redirect/choose.ts'
import { iptablesRules } from '../../../deploy/redirect/iptables.ts'
import { counters, nftRuleset, nftTable } from '../../../deploy/redirect/nft-ruleset.ts'
import type { Plan } from '../../../deploy/redirect/plan.ts'
import type { Programs } from '../../../deploy/redirect/programs.ts'

const plan: Plan = { uid: 1337, port: 15_001, ports: 8, dnsPort: 15_053, inbound: true }

describe('the ruleset', () => {
  it('takes the place of the one before in the same transaction', () => {
    expect(nftRuleset(plan)).toMatch(/^table inet postern\ndelete table inet postern\ntable inet postern \{\n/)
  })

  it('drops what no rule speaks of', () => {
    expect(nftTable(plan)).toContain('type filter hook output priority 0; policy drop;')
    for (const family of [4, 6] as const)
      expect(iptablesRules(plan, family).filter).toContain('-A POSTERN_OTHERS -m comment --comment protocols -j DROP')
  })

  it('exempts one user and nobody else', () => {
    const uids = (text: string) => [...text.matchAll(/(?:skuid (?:!= )?|--uid-owner )(\d+)/g)].map(([, uid]) => uid)
    expect(new Set(uids(nftTable(plan)))).toEqual(new Set(['1337']))
    for (const family of [4, 6] as const) {
      const { nat, filter } = iptablesRules(plan, family)
      expect(new Set(uids([...nat, ...filter].join('\n')))).toEqual(new Set(['1337']))
    }
  })

  it('exempts nobody in a namespace where the proxy is not', () => {
    const table = nftTable({ ...plan, uid: undefined })
    expect(table).not.toMatch(/skuid|ct mark/)
    expect(table).toContain('comment "postern uid=none port=15001-15008 dns=15053 inbound=yes"')
    expect(table).toContain('meta l4proto tcp counter name captured redirect to :15001-15008')
    expect(table).toContain('policy drop;\n    icmpv6')
  })

  it('turns DNS round before the exemption of this machine’s addresses, and rejects it where nobody answers it', () => {
    const table = nftTable(plan)
    expect(table.indexOf('udp dport 53')).toBeLessThan(table.indexOf('fib daddr type local return'))
    const without = { ...plan, dnsPort: undefined }
    expect(nftTable(without)).not.toContain('dport 53')
    expect(iptablesRules(without, 4).nat.join('\n')).not.toContain('--dport 53')
  })

  it('lets answers to outside pass only where that is wanted', () => {
    const closed = { ...plan, inbound: false }
    expect(nftTable(plan)).toContain('ct direction reply accept')
    expect(nftTable(closed)).not.toContain('ct direction reply')
    expect(iptablesRules(closed, 4).filter.join('\n')).not.toContain('--ctdir REPLY')
  })

  it('counts the same under the same names by either program', () => {
    const rules = [4, 6].flatMap((family) => {
      const { nat, filter } = iptablesRules(plan, family === 4 ? 4 : 6)
      return [...nat, ...filter]
    })
    for (const name of Object.keys(counters)) {
      expect(nftTable(plan)).toContain(`counter name ${name} `)
      expect(rules.join('\n')).toContain(`--comment ${name} `)
    }
  })

  it('is one that does nothing where it is only to be compared', () => {
    expect(nftTable(plan, 'postern_expected', true)).toMatch(/^table inet postern_expected \{\n.*\n {2}flags dormant\n/)
  })
})

describe('the program', () => {
  const having = (...names: readonly string[]): Programs => ({
    has: (name) => names.includes(name),
    run: () => undefined,
  })
  const iptables = ['iptables-save', 'iptables-restore', 'ip6tables-save', 'ip6tables-restore']

  it('is nft where it is, else iptables', () => {
    expect(chooseBackend(having('nft', ...iptables), undefined).name).toBe('nft')
    expect(chooseBackend(having(...iptables), undefined).name).toBe('iptables')
  })

  it('is none where one family would stay open, with what to do', () => {
    const one = having('iptables-save', 'iptables-restore')
    expect(() => chooseBackend(one, undefined)).toThrow(
      'there is neither nft nor iptables here; install the package nftables, or iptables',
    )
    expect(() => chooseBackend(having(...iptables), 'nft')).toThrow('there is no nft here')
  })
})
