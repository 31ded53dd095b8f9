// Whether the agent holds a secret that it should not: in its environment, in that of processes beside it, in files.
import { readdir, readFile } from 'node:fs/promises'
import { type Check, type Finding, green, red, skipped } from './check.ts'
import { type Looked, readableFiles, usualPlaces } from './readable-files.ts'
import { notAnAgent, type Scene, type Variables } from './scene.ts'
import { type Sighting, secretInVariable, secretsIn } from './secret-finder.ts'

/** Told at most; the rest as a number. */
const told = 6

const takeAway =
  'Take it from the agent and give it to the proxy: a credential, `use` in a rule, and `inject: placeholder` where a program wants to see one. Whoever could read it may have it: renew it.'

export const secretChecks: readonly Check[] = [
  {
    name: 'secrets-environment',
    proves: 'no variable holds a secret, here or in another process that can be read',
    patience: 5_000,
    run: async (scene) => {
      const other = notAnAgent(scene)
      return other === undefined ? inEnvironments(scene.environment) : skipped(other)
    },
  },
  {
    name: 'secrets-files',
    proves: 'no file that the agent can read, where secrets usually are, holds one',
    patience: 15_000,
    run: async (scene, signal) => {
      const other = notAnAgent(scene)
      return other === undefined ? inFiles(scene, signal) : skipped(other)
    },
  },
]

async function inEnvironments(own: Variables): Promise<Finding> {
  const found = inVariables(own)
  let others = 0
  for (const { pid, program, variables } of await otherEnvironments()) {
    others += 1
    found.push(...inVariables(variables).map((each) => `${each} of process ${pid}, ${program}`))
  }
  if (found.length > 0) return red(`${listed([...new Set(found)])}.`, takeAway)
  return green(
    `${Object.keys(own).length} variables here, and those of ${others} other processes: nothing that looks like a secret.`,
  )
}

const inVariables = (variables: Variables): string[] =>
  Object.entries(variables).flatMap(([name, value = '']) => {
    const kind = secretInVariable(name, value)
    return kind === undefined ? [] : [`${name} (${kind})`]
  })

interface Process {
  readonly pid: string
  readonly program: string
  readonly variables: Variables
}

/** Those that the kernel shows to this user, but for this process. */
async function otherEnvironments(): Promise<Process[]> {
  const pids = (await readdir('/proc').catch((): string[] => [])).filter((name) => /^\d+$/.test(name))
  const found: Process[] = []
  for (const pid of pids) {
    if (pid === String(process.pid)) continue
    const text = await readFile(`/proc/${pid}/environ`, 'utf8').catch(() => '')
    if (text === '') continue
    const program = (await readFile(`/proc/${pid}/comm`, 'utf8').catch(() => '')).trim()
    const entries = text.split('\0').map((entry): [string, string] => {
      const equals = entry.indexOf('=')
      return [entry.slice(0, equals), entry.slice(equals + 1)]
    })
    found.push({ pid, program, variables: Object.fromEntries(entries) })
  }
  return found
}

async function inFiles({ files, environment }: Scene, signal: AbortSignal): Promise<Finding> {
  const looked: Looked = { files: 0, bytes: 0 }
  const found: string[] = []
  const places = files ?? (await usualPlaces(environment, process.cwd()))
  // Time is left to say what there was.
  const until = AbortSignal.any([signal, AbortSignal.timeout(10_000)])
  for await (const { path, text } of readableFiles(places, looked, until)) {
    const [first, ...more] = secretsIn(text)
    if (first !== undefined) found.push(`${path}:${first.line} (${sighted(first, more.length)})`)
  }
  if (found.length > 0) return red(`${listed(found)}.`, takeAway)
  const seen = `${looked.files} files, ${(looked.bytes / 1e6).toFixed(1)} MB`
  if (looked.cut !== undefined)
    return skipped(
      `nothing in the first ${seen}, and not all were looked at: ${looked.cut}; --files names where to look`,
    )
  return green(`${seen}: nothing that looks like a secret.`)
}

function sighted({ kind }: Sighting, more: number): string {
  return more === 0 ? kind : `${kind}, and ${more} more`
}

function listed(found: readonly string[]): string {
  const some = found.slice(0, told).join('; ')
  return found.length > told ? `${some}; and ${found.length - told} more` : some
}
