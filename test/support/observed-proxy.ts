// The real `postern run` as a process that is watched for long: its memory, its descriptors, and what it told its operator in short.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { request } from 'node:http'
import { createInterface } from 'node:readline'
import { text } from 'node:stream/consumers'
import { setTimeout as pause } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'

const program = fileURLToPath(new URL('../../cli/postern.js', import.meta.url))

export interface Footprint {
  /** Resident memory in megabytes. */
  readonly resident: number
  readonly descriptors: number
}

export interface ProxyStart {
  /** Its folder; `postern.yaml` is in it. */
  readonly folder: string
  readonly environment: Readonly<Record<string, string>>
  /** Modules that are loaded before it. They reach it over its channel of messages. */
  readonly preload?: readonly URL[]
  /** A command line that is put in front of it. */
  readonly through?: readonly string[]
}

/** Milliseconds. */
const startsWithin = 20_000

export class ObservedProxy {
  readonly child: ChildProcess
  /** Log lines by level and message. */
  readonly told = new Map<string, number>()
  readonly #ports = new Map<string, number>()
  #last = ''

  /** @throws when it is not ready in 20 s; the message holds what it said */
  static async start({ folder, environment, preload = [], through = [] }: ProxyStart): Promise<ObservedProxy> {
    const imports = preload.flatMap((url) => ['--import', fileURLToPath(url)])
    const command = [...through, process.execPath, '--disable-warning=ExperimentalWarning', ...imports, program, 'run']
    const [file = '', ...args] = command
    const { PATH = '' } = process.env
    const child = spawn(file, args, {
      cwd: folder,
      env: { PATH, HOME: folder, TMPDIR: folder, TZ: 'UTC', ...environment },
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    })
    // When whoever watches it fails, it must not be left behind.
    const end = () => child.kill('SIGKILL')
    process.once('exit', end)
    child.once('exit', () => process.off('exit', end))
    const proxy = new ObservedProxy(child)
    const until = performance.now() + startsWithin
    while (!proxy.#ports.has('metrics')) {
      if (child.exitCode !== null || performance.now() > until) {
        child.kill('SIGKILL')
        throw new Error(`the proxy did not become ready: ${proxy.#last}`)
      }
      await pause(20)
    }
    return proxy
  }

  private constructor(child: ChildProcess) {
    this.child = child
    if (child.stderr !== null) createInterface({ input: child.stderr }).on('line', (line) => this.#hear(line))
  }

  /** Port of a listener; `metrics` is that of health. */
  port(listener: string): number {
    const port = this.#ports.get(listener)
    if (port === undefined) throw new Error(`no port of ${listener}`)
    return port
  }

  /** How often it told this, at whatever level. */
  count(message: string): number {
    let count = 0
    for (const [told, times] of this.told) if (told.endsWith(`: ${message}`)) count += times
    return count
  }

  /** What health says. @returns status and body */
  async ask(path: '/readyz' | '/livez' | '/metrics'): Promise<{ readonly status: number; readonly body: string }> {
    const asked = request({ host: '127.0.0.1', port: this.port('metrics'), path, agent: false }).end()
    const [answer] = await once(asked, 'response')
    return { status: answer.statusCode, body: await text(answer) }
  }

  async footprint(): Promise<Footprint> {
    const { body } = await this.ask('/metrics')
    const value = (name: string) => Number(new RegExp(`^${name} (.*)$`, 'm').exec(body)?.[1] ?? Number.NaN)
    return { resident: value('process_resident_memory_bytes') / 1e6, descriptors: value('process_open_fds') }
  }

  /** A message to what was loaded before it, and the answer. */
  async tell(message: object): Promise<unknown> {
    const answered = once(this.child, 'message')
    this.child.send(message)
    const [answer] = await answered
    return answer
  }

  /** @returns its exit code, or the signal that ended it */
  async stop(): Promise<number | string | null> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return this.child.exitCode
    const ended = once(this.child, 'exit')
    this.child.kill('SIGTERM')
    const patience = setTimeout(() => this.child.kill('SIGKILL'), 20_000)
    const [code, signal] = await ended
    clearTimeout(patience)
    return code ?? signal
  }

  #hear(line: string): void {
    this.#last = line
    if (!line.startsWith('{')) {
      this.#note(`stderr: ${line}`)
      return
    }
    const { level, message, listener, port, metricsPort, err } = JSON.parse(line)
    if (message === 'listening' && typeof port === 'number') this.#ports.set(listener, port)
    if (message === 'ready') this.#ports.set('metrics', metricsPort)
    this.#note(`${level}: ${message}`)
    if (err !== undefined) this.#note(`${level}: ${message}: ${err.message}`)
  }

  #note(what: string): void {
    // What holds numbers of its own would make this grow without end.
    if (this.told.size < 500 || this.told.has(what)) this.told.set(what, (this.told.get(what) ?? 0) + 1)
  }
}
