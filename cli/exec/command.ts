// Runs the command as if it had been started without us: same terminal, same standard streams, signals, exit code.
import { type ChildProcess, spawn } from 'node:child_process'
import { constants } from 'node:os'
import { readStat } from '../../proxy/identify/kernel/process-stat.ts'
import { findProgram } from './isolate/programs.ts'

/** Sent by a terminal to everything in its foreground, so to the command already when they reach us there. */
const fromTerminal = ['SIGINT', 'SIGQUIT', 'SIGTSTP', 'SIGWINCH'] as const
const fromElsewhere = ['SIGTERM', 'SIGHUP', 'SIGUSR1', 'SIGUSR2', 'SIGCONT'] as const
const relayed = [...fromTerminal, ...fromElsewhere]

type Relayed = (typeof relayed)[number]

export interface RunningCommand {
  /** Undefined once it has ended. */
  pid(): number | undefined
  /** The exit code; 128 + n when signal n ended it; 127 when there is no such program, 126 when it cannot be run. */
  readonly ended: Promise<number>
}

/** Passes the signals that this process gets on to a command, from before it starts; none ends this process meanwhile. */
export class SignalRelay {
  #child: ChildProcess | undefined
  readonly #early: Relayed[] = []
  readonly #listeners = relayed.map((signal) => [signal, () => this.#got(signal)] as const)

  constructor() {
    for (const [signal, listener] of this.#listeners) process.on(signal, listener)
  }

  /** Sends on what has come already. */
  to(child: ChildProcess): void {
    this.#child = child
    for (const signal of this.#early.splice(0)) child.kill(signal)
  }

  close(): void {
    for (const [signal, listener] of this.#listeners) process.off(signal, listener)
  }

  #got(signal: Relayed): void {
    if (this.#child === undefined) {
      // Whoever asks twice does not want to wait until all is ready.
      if (this.#early.includes(signal) && isEnding(signal)) process.exit(exitCodeOf(signal))
      this.#early.push(signal)
      return
    }
    if (!(isFromTerminal(signal) && inForeground())) this.#child.kill(signal)
    // The proxy stops with the command, and goes on with it at SIGCONT.
    if (signal === 'SIGTSTP') process.kill(process.pid, 'SIGSTOP')
  }
}

const isFromTerminal = (signal: Relayed): boolean => fromTerminal.some((each) => each === signal)
const isEnding = (signal: Relayed): boolean => ['SIGINT', 'SIGQUIT', 'SIGTERM', 'SIGHUP'].includes(signal)
const exitCodeOf = (signal: NodeJS.Signals): number => 128 + constants.signals[signal]

/** Whether our process group, which is the command's too, is the one that the terminal talks to. */
function inForeground(): boolean {
  const stat = readStat(process.pid)
  if (stat !== undefined) return stat.foregroundGroup === stat.group
  return process.stdin.isTTY || process.stdout.isTTY || process.stderr.isTTY
}

/** Says so. @returns the exit code for it */
function cannotBeRun(file: string, { code, message }: Pick<NodeJS.ErrnoException, 'code' | 'message'>): number {
  const missing = code === 'ENOENT'
  console.error(`postern: ${file}: ${missing ? 'no such program' : `cannot be run (${message})`}`)
  return missing ? 127 : 126
}

/**
 * Starts a command in our process group, with our standard streams.
 * @param before programs that end by becoming the next one, the last of them by becoming the command
 */
export function runCommand(
  file: string,
  argv: readonly string[],
  environment: NodeJS.ProcessEnv,
  signals: SignalRelay,
  before: readonly string[] = [],
): RunningCommand {
  const [first = file, ...rest] = [...before, file, ...argv]
  // They would say it in words of their own.
  const found = first === file ? undefined : findProgram(file, environment.PATH ?? '')
  if (found !== undefined && 'code' in found) {
    const { code } = found
    return {
      pid: () => undefined,
      ended: Promise.resolve(cannotBeRun(file, { code, message: `spawn ${file} ${code}` })),
    }
  }
  const child = spawn(first, rest, { env: environment, stdio: 'inherit' })
  let running = true
  const ended = new Promise<number>((resolve) => {
    child.on('error', (error: NodeJS.ErrnoException) => {
      // A signal that could not be delivered (a command that has become another user) is no end.
      if (child.pid !== undefined) return
      running = false
      resolve(cannotBeRun(file, error))
    })
    child.once('exit', (code, signal) => {
      running = false
      resolve(signal === null ? (code ?? 0) : exitCodeOf(signal))
    })
  })
  signals.to(child)
  return { pid: () => (running ? child.pid : undefined), ended }
}
