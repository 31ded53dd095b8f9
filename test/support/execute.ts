// Runs a program to its end.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { text } from 'node:stream/consumers'

export interface Executed {
  readonly code: number | NodeJS.Signals
  readonly out: string
  readonly errors: string
}

/** @param environment besides PATH; nothing else is inherited */
export async function execute(
  file: string,
  argv: readonly string[],
  { cwd, environment = {} }: { readonly cwd: string; readonly environment?: Readonly<Record<string, string>> },
): Promise<Executed> {
  const { PATH = '' } = process.env
  const child = spawn(file, argv, { cwd, env: { PATH, HOME: cwd, ...environment }, stdio: ['ignore', 'pipe', 'pipe'] })
  const [out, errors, [code, signal]] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    once(child, 'close'),
  ])
  return { code: code ?? signal, out, errors }
}
