// postern logs --chain: finds the records of one transaction and draws what came of it.
import { eachLine, inOrder } from '../../proxy/record/audit/record-files.ts'
import { drawChain } from '../../proxy/record/chain-text.ts'
import { type ChainTree, ChainTreeBuilder } from '../../proxy/record/chain-tree.ts'
import type { AuditRecord } from '../../proxy/record/line.ts'
import { parseRecord } from '../../proxy/record/reader.ts'
import { harmless, paintFor } from '../../proxy/record/terminal-text.ts'
import { CommandError, exit } from '../exit.ts'

/** Columns where nobody says how many there are. */
const usualWidth = 100

/** @param wanted the id of the transaction, or its beginning or end */
export async function showChain(wanted: string, files: readonly string[], json: boolean): Promise<void> {
  if (!/^[\w.:-]{4,200}$/.test(wanted))
    throw new CommandError(exit.usage, 'The id of a transaction, or at least 4 characters of its beginning or end.')
  const tree = await treeOf(wanted, files)
  const { isTTY, columns } = process.stdout
  const paint = paintFor(isTTY === true, process.env.NO_COLOR)
  const width = isTTY === true && columns > 0 ? columns : usualWidth
  console.log(json ? JSON.stringify(tree) : drawChain(tree, { width, paint }).join('\n'))
}

async function treeOf(wanted: string, files: readonly string[]): Promise<ChainTree> {
  const builders = new Map<string, ChainTreeBuilder>()
  // A stop may stand before the first record by which its transaction is known, yet matters only behind it.
  const stops: AuditRecord[] = []
  for (const file of await inOrder(files)) {
    await eachLine(file, (line) => {
      if (!line.includes(wanted) && !line.includes('"kind":"stop"')) return
      const record = parseRecord(line.toString())
      if (record === undefined) return
      if (record.kind === 'stop') stops.push(record)
      const { txn } = record
      if (txn === undefined || !(txn.startsWith(wanted) || txn.endsWith(wanted))) return
      const builder = builders.get(txn) ?? new ChainTreeBuilder(txn)
      builders.set(txn, builder)
      builder.take(record)
    })
  }
  const [builder, ...others] = builders.values()
  if (builder === undefined) throw new CommandError(exit.data, `No record is of a transaction ${harmless(wanted)}.`)
  if (others.length > 0) {
    const some = [...builders.keys()].slice(0, 5).map((txn) => `  ${harmless(txn)}`)
    throw new CommandError(
      exit.data,
      `${builders.size} transactions have an id with ${wanted}; write more of it:\n${some.join('\n')}`,
    )
  }
  for (const stop of stops) builder.take(stop)
  const tree = builder.tree()
  if (tree === undefined) throw new CommandError(exit.data, `No record is of a transaction ${harmless(wanted)}.`)
  return tree
}
