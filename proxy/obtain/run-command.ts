// Runs a command without a shell and gives what it printed; bounded in time and size, and nothing of it stays behind.
import { type ChildProcess, spawn } from 'node:child_process'
import { Refusal } from '../refusal.ts'

/** Bytes of standard output. */
export const largestOutput = 65_536

/**
 * @param environment the whole environment of the command
 * @param timeout milliseconds
 * @returns its standard output. Standard error is thrown away: it is the place where commands print what they were given.
 * @throws Refusal `credential_unavailable`
 */
export function runCommand(
  command: readonly [string, ...string[]],
  environment: Record<string, string>,
  timeout: number,
  signal: AbortSignal,
): Promise<string> {
  const [program, ...args] = command
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(failed(`${program} was not started: ${String(signal.reason)}`))
    // Detached: a process group of its own, so that what it starts in turn ends with it; and no terminal to ask questions on.
    const child = spawn(program, args, {
      env: environment,
      cwd: '/',
      stdio: ['ignore', 'pipe', 'ignore'],
      detached: true,
    })
    const chunks: Buffer[] = []
    let size = 0
    let problem: string | undefined

    const stop = (why: string) => {
      problem ??= why
      endGroup(child)
      child.stdout.destroy()
    }
    const timer = setTimeout(() => stop(`took longer than ${timeout} ms`), timeout)
    const abandon = () => stop('was abandoned')
    signal.addEventListener('abort', abandon, { once: true })

    child.stdout.on('data', (chunk: Buffer) => {
      size += chunk.length
      if (size > largestOutput) stop(`printed more than ${largestOutput} bytes`)
      else chunks.push(chunk)
    })
    child.on('error', (error: NodeJS.ErrnoException) => {
      problem ??= `could not be started: ${error.code ?? error.name}`
    })
    child.on('close', (code, endedBy) => {
      clearTimeout(timer)
      signal.removeEventListener('abort', abandon)
      endGroup(child)
      if (code !== 0) problem ??= endedBy === null ? `ended with exit code ${code}` : `was ended by ${endedBy}`
      if (problem !== undefined) reject(failed(`${program} ${problem}`))
      else resolve(Buffer.concat(chunks).toString('utf8'))
    })
  })
}

function endGroup({ pid }: ChildProcess): void {
  if (pid === undefined) return
  try {
    process.kill(-pid, 'SIGKILL')
  } catch {
    // ESRCH: all of it has ended already.
  }
}

function failed(detail: string): Refusal {
  return new Refusal('credential_unavailable', { detail })
}
