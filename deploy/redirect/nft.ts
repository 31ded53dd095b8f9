// The rules by nft: one table, one transaction.
import type { Backend } from './backend.ts'
import { type Counter, nftRuleset, nftTable, tableName } from './nft-ruleset.ts'
import type { Programs } from './programs.ts'

const scratch = `${tableName}_expected`
const absent = /No such file or directory/

export function nftBackend(programs: Programs): Backend {
  const nft = (...args: string[]) => programs.run('nft', args, undefined, absent)
  const load = (script: string) => programs.run('nft', ['-f', '-'], script)
  return {
    name: 'nft',
    script: nftRuleset,
    inForce() {
      const listed = nft('-s', 'list', 'table', 'inet', tableName)
      return listed === undefined ? undefined : withoutBlanks(listed)
    },
    expected(plan) {
      // Only the kernel and the program at hand know how they spell it. A dormant table has no effect.
      load(nftTable(plan, scratch, true))
      try {
        const listed = nft('-s', 'list', 'table', 'inet', scratch) ?? ''
        return withoutBlanks(
          listed.replace(`inet ${scratch} {`, `inet ${tableName} {`).replace(/^\s*flags dormant;?\n/m, ''),
        )
      } finally {
        nft('delete', 'table', 'inet', scratch)
      }
    },
    apply(plan) {
      load(nftRuleset(plan))
    },
    remove() {
      nft('delete', 'table', 'inet', tableName)
    },
    counts() {
      const text = nft('-j', 'list', 'counters', 'table', 'inet', tableName)
      return text === undefined ? {} : countsIn(JSON.parse(text))
    },
  }
}

const withoutBlanks = (text: string): string => text.replace(/^\s*\n/gm, '')

/** @param listed as libnftables-json(5) describes it */
function countsIn(listed: { nftables?: readonly { counter?: { name: string; packets: number } }[] }) {
  const counts: Partial<Record<Counter, number>> = {}
  for (const { counter } of listed.nftables ?? [])
    if (counter !== undefined) counts[counter.name as Counter] = counter.packets
  return counts
}
