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

/** All that the command of a room sends, whatever address it had in mind; IPv4 and IPv6. Its ports are those of the room. */
export const redirectedListener: ListenSettings = {
  name: 'exec-redirected',
  address: { kind: 'tcp', host: '127.0.0.1', port: 0 },
  accept: 'redirected',
  callers: ['namespace'],
}
export const redirectedListenerV6: ListenSettings = {
  ...redirectedListener,
  name: 'exec-redirected-v6',
  address: { kind: 'tcp', host: '::1', port: 0 },
}

/**
 * Where the command is in a room of its own, nobody else reaches these.
 * @param opened names of the listeners that could be opened in there
 */
export function roomListeners(opened: ReadonlyMap<string, unknown>): ListenSettings[] {
  const proxy: ListenSettings = { ...execListener, callers: ['namespace'] }
  return [proxy, redirectedListener, redirectedListenerV6].filter(({ name }) => opened.has(name))
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
