// How Node.js can be started so that what a process holds is shown, or written out, to others; each way by its name.

export interface Start {
  /** Options of Node.js on the command line. */
  readonly options: readonly string[]
  readonly environment: Readonly<Record<string, string | undefined>>
  /** Where Node's inspector listens; undefined where it does not. */
  readonly inspector: string | undefined
}

const attached = 'lets a debugger in'
const memory = 'writes memory into a file'
const report = 'writes errors and the environment into a file'
const traffic = 'shows what is sent over TLS'
const unseen = 'may hold any option, which cannot be seen from here'

/** Options of Node.js and V8, without their dashes. `--cpu-prof` is not among them: it writes names of functions and times. */
const options: ReadonlyMap<string, string> = new Map([
  ['inspect', attached],
  ['inspect-brk', attached],
  ['inspect-brk-node', attached],
  ['inspect-wait', attached],
  ['heapsnapshot-signal', memory],
  ['heapsnapshot-near-heap-limit', memory],
  ['heap-snapshot-on-oom', memory],
  ['heap-snapshot-on-gc', memory],
  ['heap-prof', memory],
  ['build-snapshot', memory],
  ['build-snapshot-config', memory],
  ['abort-on-uncaught-exception', 'writes memory into a core file'],
  ['report-on-signal', report],
  ['report-on-fatalerror', report],
  ['report-uncaught-exception', report],
  ['trace-tls', traffic],
  ['tls-keylog', traffic],
  ['trace', 'prints what functions are called with'],
  ['experimental-config-file', unseen],
  ['experimental-default-config-file', unseen],
])

/** @returns a sentence for each; empty where the process can be looked into by none of them */
export function openings({ options: given, environment, inspector }: Start): readonly string[] {
  const { NODE_OPTIONS = '', NODE_DEBUG = '' } = environment
  const found = new Set<string>()
  for (const option of given) add(found, option, '')
  for (const option of optionsIn(NODE_OPTIONS)) add(found, option, ' in NODE_OPTIONS')
  // It prints the heads of requests.
  if (NODE_DEBUG !== '') found.add('NODE_DEBUG prints what is sent')
  // However it came to be open, also by SIGUSR1 before anything of ours ran.
  if (inspector !== undefined) found.add('the inspector is open, so a debugger can be attached')
  return [...found]
}

function add(found: Set<string>, option: string, where: string): void {
  // Node.js and V8 take `_` for `-`, V8 also one dash for two.
  const name = /^--?([a-z0-9_-]+)/i.exec(option)?.[1]?.replaceAll('_', '-')
  const why = name === undefined ? undefined : options.get(name)
  if (why !== undefined) found.add(`--${name}${where} ${why}`)
}

/** As Node.js takes them apart: at spaces, but for those between quotation marks. */
function optionsIn(text: string): string[] {
  const parts = text.match(/(?:[^ "]|"(?:\\.|[^"\\])*"?)+/gs) ?? []
  return parts.map((part) => part.replaceAll('"', ''))
}
