// A whole proxy in this process, on free ports of loopback, from a configuration as a user would write it.
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { vi } from 'vitest'
import { type Gate, open } from '../../cli/wire.ts'
import { loadConfig } from '../../proxy/config/load.ts'
import { diagnostics } from '../../proxy/record/diagnostics.ts'
import type { AuditRecord } from '../../proxy/record/line.ts'
import { recordsIn } from './records.ts'

export interface TestGate extends AsyncDisposable {
  readonly gate: Gate
  /** Port of a listener. */
  port(listener?: string): number
  /** Its folder; the configuration and the records are in it. */
  readonly folder: string
  /** Records so far; waits until there are `count` of them. */
  records(count: number): Promise<readonly AuditRecord[]>
  /** The record of one request; waits until it is there. @param id as the agent was told it */
  record(id: string | undefined): Promise<AuditRecord>
  /** Everything that it told its operator. */
  readonly log: () => string
}

export const agentId = 'spiffe://acme.example/agent'

/** A listener on which whoever runs the test is the agent. */
export const agentsListener = `listen:
  - { name: agents, address: "127.0.0.1:0", accept: http-proxy, callers: [kernel], uids: { "${process.getuid?.() ?? 0}": ${agentId} } }
`

/**
 * @param config the configuration, without `version`, `trustDomain` and `records`
 * @param files written beside it
 */
export async function openGate(
  config: string,
  { files = {}, environment = {} }: { files?: Record<string, string>; environment?: Record<string, string> } = {},
): Promise<TestGate> {
  const folder = await mkdtemp(join(tmpdir(), 'postern-test-'))
  await Promise.all(Object.entries(files).map(([name, text]) => writeFile(join(folder, name), text)))
  const file = join(folder, 'postern.yaml')
  const records = config.includes('records:') ? '' : 'records: { to: ./records.jsonl }\n'
  await writeFile(file, `version: 1\ntrustDomain: acme.example\n${records}${config}`)
  let told = ''
  const log = diagnostics({
    to: {
      write(line: string) {
        told += line
      },
    },
  })
  const gate = await open(await loadConfig(file, environment), { environment, log })
  const read = () => recordsIn(join(folder, 'records.jsonl'))
  return {
    gate,
    folder,
    log: () => told,
    port(listener = 'agents') {
      const address = gate.addresses.get(listener)
      if (address?.kind !== 'tcp') throw new Error(`no port of ${listener}`)
      return address.port
    },
    async records(count) {
      await vi.waitFor(async () => {
        if ((await read()).length < count) throw new Error('not yet')
      }, 5_000)
      return read()
    },
    record: (id) =>
      vi.waitFor(async () => {
        const found = (await read()).find((record) => record.id === id)
        if (found === undefined) throw new Error(`no record of ${id}`)
        return found
      }, 5_000),
    async [Symbol.asyncDispose]() {
      await gate.close('test over')
      await rm(folder, { recursive: true, force: true })
    },
  }
}
