// What Node's permission model leaves to this process: once all is open, what is not needed any more is given up for good.
import type { Config } from '../proxy/config/schema.ts'
import { native } from '../proxy/identify/kernel/native.ts'
import { CommandError, exit } from './exit.ts'

const options = {
  child: '--allow-child-process',
  'fs.write': '--allow-fs-write=*',
  ffi: '--allow-ffi',
} as const

interface Need {
  readonly right: keyof typeof options
  /** The path that is written; undefined: the right as a whole. */
  readonly path?: string
  /** What needs it, as the configuration calls it. */
  readonly whose: string
}

/** All that can be told apart; what the last five are for is not used here. */
const rights = ['fs.read', 'fs.write', 'net', 'child', 'ffi', 'worker', 'addon', 'wasi', 'inspector'] as const

/** What this process may do; undefined where the permission model is off, and it may do anything. */
export function rightsLeft(): readonly string[] | undefined {
  const { permission } = process
  return permission === undefined ? undefined : rights.filter((right) => permission.has(right))
}

/** @throws CommandError where the permission model is on and leaves out what this configuration needs */
export function expectRights(config: Config): void {
  // The kernel is asked by it who calls, and the disk to keep what is written.
  const needs: Need[] = [{ right: 'ffi', whose: 'the proxy' }, ...needsOfStart(config), ...needsOfCredentials(config)]
  const missing = missingOf(needs).map(({ right, whose }) => `${whose} needs ${options[right]}`)
  if (missing.length > 0) throw new CommandError(exit.config, `started with too few rights: ${missing.join('; ')}.`)
  const calls = native()
  if (process.permission !== undefined && 'missing' in calls)
    throw new CommandError(exit.config, `the permission model cannot be used here: ${calls.missing}.`)
}

/**
 * To be called when all is open.
 * @param configs what was opened, and what is in force
 */
export function giveUpRights(...configs: readonly Config[]): void {
  const { permission } = process
  // Node.js 24 and 25 have the model, and nothing to give up by.
  if (permission?.drop === undefined) return
  const needed = new Set(configs.flatMap((each) => [...needsOfStart(each), ...needsOfCredentials(each)]).map(rightOf))
  for (const right of ['child', 'fs.write'] as const) if (!needed.has(right)) permission.drop(right)
}

/** @throws where a configuration that is to replace the one in force needs what was given up */
export function expectNoMoreRights(config: Config): void {
  const missing = missingOf(needsOfCredentials(config)).map(({ right, whose }) => `${whose} needs ${right}`)
  if (missing.length > 0)
    throw new Error(`${missing.join('; ')}: the proxy has given that up, and gets it again by a new start`)
}

const rightOf = ({ right }: Need) => right

function missingOf(needs: readonly Need[]): readonly Need[] {
  const { permission } = process
  return permission === undefined ? [] : needs.filter(({ right, path }) => !permission.has(right, path))
}

/** Of what is opened once. */
function needsOfStart({ records, admin, stop }: Config): Need[] {
  const write = (whose: string, path: string | undefined): Need[] =>
    path === undefined ? [] : [{ right: 'fs.write', path, whose }]
  return [
    ...write('records.to', records.to === 'stdout' ? undefined : records.to),
    // Beside it stops and budgets are written down.
    ...write('admin.socket', admin.socket),
    ...write('stop.file', stop.file),
  ]
}

function needsOfCredentials({ credentials }: Config): Need[] {
  return Object.entries(credentials).flatMap(([name, settings]): Need[] => {
    const whose = `credentials.${name}`
    if (settings.kind === 'exec') return [{ right: 'child', whose }]
    if (settings.kind === 'oauth2-refresh-token') return [{ right: 'fs.write', path: settings.refreshTokenFile, whose }]
    return []
  })
}
