// Starts `postern logs` or `postern why` and collects what it prints.
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'

const script = fileURLToPath(new URL('./record-commands.ts', import.meta.url))

export interface Run {
  readonly child: ChildProcessWithoutNullStreams
  readonly output: { out: string; error: string }
  readonly ended: Promise<{ code: number | null; out: string; error: string }>
}

export function start(args: readonly string[], cwd: string, environment: Record<string, string> = {}): Run {
  const { PATH = '' } = process.env
  const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', script, ...args], {
    cwd,
    env: { PATH, TZ: 'UTC', ...environment },
  })
  const output = { out: '', error: '' }
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    output.out += text
  })
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    output.error += text
  })
  const ended = once(child, 'close').then(([code]) => ({ code, ...output }))
  return { child, output, ended }
}

export function run(args: readonly string[], cwd: string, environment: Record<string, string> = {}, input = '') {
  const { child, ended } = start(args, cwd, environment)
  child.stdin.end(input)
  return ended
}
