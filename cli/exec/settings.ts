// The configuration as `exec` runs it: a listener of its own, nothing on the command's standard output, nothing that other runs share.
import { mkdirSync } from 'node:fs'
import { homedir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import type { ListenSettings } from '../../proxy/capture/settings.ts'
import type { Config } from '../../proxy/config/schema.ts'

/** On any free port of loopback. Only the command of this run is anybody there. */
export const execListener: ListenSettings = {
  name: 'exec',
  address: { kind: 'tcp', host: '127.0.0.1', port: 0 },
  accept: 'http-proxy',
  callers: ['run-token'],
}

/**
 * The admin socket trusts its user, which here is the command's user too, and the ports of two runs would clash; so
 * neither is opened. What is left for agents that somebody else starts stays as a running service left it.
 * @param records where records go instead of where the configuration says
 */
export function execConfig(
  config: Config,
  records: string | undefined,
  environment: Readonly<Record<string, string | undefined>>,
): Config {
  const to = records === undefined ? config.records.to : resolve(records)
  const { trust: _, ...rest } = config
  return {
    ...rest,
    listen: [],
    admin: { hosts: [] },
    // Standard output is the command's.
    records: { ...config.records, to: to === 'stdout' ? ownRecords(environment) : to },
  }
}

/** `$XDG_STATE_HOME/postern/records.jsonl`; the folder is made. */
function ownRecords({ XDG_STATE_HOME: state }: Readonly<Record<string, string | undefined>>): string {
  const folder = state === undefined || state === '' ? join(homedir(), '.local', 'state') : state
  const path = join(folder, 'postern', 'records.jsonl')
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
  return path
}
