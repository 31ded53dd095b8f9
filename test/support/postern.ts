// The real command line, each run a process of its own, in a folder of its own.
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chown, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { vi } from 'vitest'

const program = fileURLToPath(new URL('../../cli/postern.js', import.meta.url))

/** A line of what the proxy tells its operator. */
export interface LogLine {
  readonly level: string
  readonly message: string
  readonly [field: string]: unknown
}

export class Postern {
  readonly child: ChildProcessWithoutNullStreams
  out = ''
  errors = ''
  /** Its exit code, or the signal that ended it. */
  readonly ended: Promise<number | NodeJS.Signals>

  constructor(child: ChildProcessWithoutNullStreams) {
    this.child = child
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      this.out += text
    })
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.errors += text
    })
    this.ended = once(child, 'close').then(([code, signal]) => code ?? signal)
  }

  get log(): readonly LogLine[] {
    return this.errors
      .split('\n')
      .filter((line) => line.startsWith('{'))
      .map((line) => JSON.parse(line))
  }

  /** Waits until so many lines with this message were told, and gives the last of them. */
  async told(message: string, count = 1): Promise<LogLine> {
    return vi.waitFor(() => {
      const lines = this.log.filter((line) => line.message === message)
      const last = lines[count - 1]
      if (last === undefined) throw new Error(`told ${lines.length} times: ${message}\n${this.errors}`)
      return last
    }, 10_000)
  }

  /** Port of a listener, once it listens. */
  async port(listener = 'agents'): Promise<number> {
    await this.told('ready')
    const line = this.log.find((each) => each.message === 'listening' && each.listener === listener)
    if (typeof line?.port !== 'number') throw new Error(`no port of ${listener}`)
    return line.port
  }

  async metricsPort(): Promise<number> {
    const { metricsPort } = await this.told('ready')
    if (typeof metricsPort !== 'number') throw new Error('no port of metrics')
    return metricsPort
  }
}

export interface Workplace extends AsyncDisposable {
  readonly path: string
  /**
   * Starts a command of `postern` there.
   * @param node another Node.js than ours, or options of it
   */
  start(args: readonly string[], environment?: Readonly<Record<string, string>>, node?: readonly string[]): Postern
}

/**
 * A folder with these files in it, for commands that run there.
 * @param as whose it is and who they run as; the user of the tests without it
 */
export async function workplace(
  files: Readonly<Record<string, string>>,
  as?: { readonly uid: number; readonly gid: number },
): Promise<Workplace> {
  const path = await mkdtemp(join(tmpdir(), 'postern-work-'))
  for (const [name, text] of Object.entries(files)) {
    await writeFile(join(path, name), text, { mode: 0o600 })
    if (as !== undefined) await chown(join(path, name), as.uid, as.gid)
  }
  if (as !== undefined) await chown(path, as.uid, as.gid)
  const runs: Postern[] = []
  return {
    path,
    start(args, environment = {}, [node = process.execPath, ...options] = []) {
      const { PATH = '' } = process.env
      const child = spawn(node, [...options, program, ...args], {
        ...as,
        cwd: path,
        env: { PATH, HOME: path, TMPDIR: path, TZ: 'UTC', ...environment },
      })
      const run = new Postern(child)
      runs.push(run)
      return run
    },
    async [Symbol.asyncDispose]() {
      for (const { child, ended } of runs) {
        if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL')
        await ended
      }
      await rm(path, { recursive: true, force: true })
    },
  }
}
