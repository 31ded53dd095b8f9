// Starts the processes of a run, each on its core, and ends them again.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { connect } from 'node:net'
import { setTimeout as pause } from 'node:timers/promises'

export interface Running {
  readonly child: ChildProcess
  readonly pid: number
  /** Milliseconds from spawning until the port took a connection; undefined when no port was waited for. */
  readonly readyAfter: number | undefined
  /** The end of what it said on stderr. */
  complaint(): string
  stop(): Promise<void>
}

export interface Start {
  /** The program; Node.js unless told. */
  readonly program?: string
  readonly args: readonly string[]
  readonly env?: Readonly<Record<string, string>>
  readonly core: number | undefined
  /** Wait until this port of loopback takes connections. */
  readonly port?: number
  /** Open a channel for messages. */
  readonly ipc?: boolean
}

/** What http-proxy and type stripping would print at each start. */
const quiet = ['--disable-warning=ExperimentalWarning', '--disable-warning=DEP0060']

/** @throws when it ends before it is ready, or is not ready in 15 s; the message holds what it said on stderr */
export async function start({ program, args, env = {}, core, port, ipc = false }: Start): Promise<Running> {
  const command = program === undefined ? [process.execPath, ...quiet, ...args] : [program, ...args]
  const [file = '', ...rest] = core === undefined ? command : ['taskset', '-c', String(core), ...command]
  const began = performance.now()
  const child = spawn(file, rest, {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'ignore', 'pipe', ...(ipc ? (['ipc'] as const) : [])],
  })
  let complaint = ''
  child.stderr?.on('data', (chunk: Buffer) => {
    complaint = `${complaint}${chunk}`.slice(-2000)
  })
  await once(child, 'spawn')
  const { pid } = child
  if (pid === undefined) throw new Error('a process without an id')
  const stop = async (): Promise<void> => {
    if (child.exitCode !== null || child.signalCode !== null) return
    child.kill('SIGTERM')
    const patience = setTimeout(() => child.kill('SIGKILL'), 5_000)
    await once(child, 'exit')
    clearTimeout(patience)
  }
  if (port === undefined) return { child, pid, readyAfter: undefined, complaint: () => complaint, stop }
  while (!(await accepts(port))) {
    if (child.exitCode !== null || child.signalCode !== null) throw new Error(`${args[0]} ended: ${complaint}`)
    if (performance.now() - began > 15_000) {
      await stop()
      throw new Error(`${args[0]} was not ready in 15 s: ${complaint}`)
    }
    await pause(2)
  }
  return { child, pid, readyAfter: performance.now() - began, complaint: () => complaint, stop }
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1')
    socket.on('connect', () => {
      socket.destroy()
      resolve(true)
    })
    socket.on('error', () => resolve(false))
  })
}
