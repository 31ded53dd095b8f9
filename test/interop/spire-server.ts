// A SPIRE server and agent on loopback and UNIX sockets, in a folder of their own, as an operator starts them.
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { access, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { vi } from 'vitest'
import { freePort } from '../support/free-port.ts'

export interface Entry {
  readonly id: string
  readonly selectors: readonly string[]
  /** Seconds. */
  readonly x509Ttl?: number
  readonly hint?: string
}

const node = 'spiffe://acme.example/node'

export class Spire implements AsyncDisposable {
  readonly #programs: { readonly server: string; readonly agent: string }
  readonly #folder: string
  readonly #running = new Set<ChildProcess>()
  #agent: ChildProcess | undefined
  /** What the programs said. */
  log = ''

  private constructor(programs: { readonly server: string; readonly agent: string }, folder: string) {
    this.#programs = programs
    this.#folder = folder
  }

  /** Of the trust domain acme.example, with an agent that has been attested by a join token. */
  static async start(programs: { readonly server: string; readonly agent: string }): Promise<Spire> {
    const spire = new Spire(programs, await mkdtemp(join(tmpdir(), 'postern-spire-')))
    try {
      await spire.#start()
    } catch (cause) {
      await spire[Symbol.asyncDispose]()
      throw new Error(`SPIRE does not start: ${spire.log.slice(-2_000)}`, { cause })
    }
    return spire
  }

  /** Of the Workload API. */
  get address(): string {
    return `unix://${this.#in('agent.sock')}`
  }

  /** `spire-server entry create`. */
  register({ id, selectors, x509Ttl = 3_600, hint = '' }: Entry): void {
    const args = ['-parentID', node, '-spiffeID', id, '-x509SVIDTTL', String(x509Ttl), '-hint', hint]
    this.#ask('entry', 'create', ...args, ...selectors.flatMap((selector) => ['-selector', selector]))
  }

  async stopAgent(): Promise<void> {
    const agent = this.#agent
    if (agent === undefined) return
    agent.kill('SIGTERM')
    if (agent.exitCode === null) await once(agent, 'exit')
    this.#agent = undefined
  }

  /** With a join token the first time; after that it has an identity of its own in its folder. */
  async startAgent(joinToken?: string): Promise<void> {
    const args = ['run', '-config', this.#in('agent.conf')]
    this.#agent = this.#run(this.#programs.agent, [
      ...args,
      ...(joinToken === undefined ? [] : ['-joinToken', joinToken]),
    ])
    const asked = ['healthcheck', '-socketPath', this.#in('agent.sock')]
    await vi.waitFor(() => execFileSync(this.#programs.agent, asked, { stdio: 'pipe' }), {
      timeout: 30_000,
      interval: 200,
    })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const child of this.#running) {
      child.kill('SIGTERM')
      if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
    }
    await rm(this.#folder, { recursive: true, force: true })
  }

  async #start(): Promise<void> {
    const port = await freePort()
    await writeFile(this.#in('server.conf'), this.#serverConfiguration(port))
    await writeFile(this.#in('agent.conf'), this.#agentConfiguration(port))
    this.#run(this.#programs.server, ['run', '-config', this.#in('server.conf')])
    await vi.waitFor(() => access(this.#in('server.sock')), 30_000)
    await vi.waitFor(() => this.#ask('healthcheck'), { timeout: 30_000, interval: 200 })
    await writeFile(this.#in('bundle.pem'), this.#ask('bundle', 'show'))
    const [, token] = /Token: (\S+)/.exec(this.#ask('token', 'generate', '-spiffeID', node)) ?? []
    if (token === undefined) throw new Error('there is no join token')
    await this.startAgent(token)
  }

  #in(name: string): string {
    return join(this.#folder, name)
  }

  #ask(...args: readonly string[]): string {
    // Options stand behind the name of the command, before those of the call.
    const words = args.findIndex((each) => each.startsWith('-'))
    const [command, options] = words === -1 ? [args, []] : [args.slice(0, words), args.slice(words)]
    return execFileSync(this.#programs.server, [...command, '-socketPath', this.#in('server.sock'), ...options], {
      encoding: 'utf8',
      stdio: 'pipe',
    })
  }

  #run(program: string, args: readonly string[]): ChildProcess {
    const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'] })
    for (const stream of [child.stdout, child.stderr])
      stream.setEncoding('utf8').on('data', (text: string) => {
        this.log += text
      })
    this.#running.add(child)
    child.once('exit', () => this.#running.delete(child))
    return child
  }

  #serverConfiguration(port: number): string {
    return `server {
  bind_address = "127.0.0.1"
  bind_port = "${port}"
  socket_path = "${this.#in('server.sock')}"
  trust_domain = "acme.example"
  data_dir = "${this.#in('server')}"
  log_level = "WARN"
}
plugins {
  DataStore "sql" { plugin_data { database_type = "sqlite3" connection_string = "${this.#in('data.sqlite3')}" } }
  KeyManager "memory" { plugin_data {} }
  NodeAttestor "join_token" { plugin_data {} }
}
`
  }

  #agentConfiguration(port: number): string {
    return `agent {
  server_address = "127.0.0.1"
  server_port = "${port}"
  socket_path = "${this.#in('agent.sock')}"
  trust_bundle_path = "${this.#in('bundle.pem')}"
  trust_domain = "acme.example"
  data_dir = "${this.#in('agent')}"
  log_level = "WARN"
  experimental { sync_interval = "1s" }
}
plugins {
  KeyManager "disk" { plugin_data { directory = "${this.#in('agent')}" } }
  NodeAttestor "join_token" { plugin_data {} }
  WorkloadAttestor "unix" { plugin_data { discover_workload_path = true } }
}
`
  }
}
