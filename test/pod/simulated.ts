// The simulated pod: the real rules, the real proxy as a user of its own, agents as other users, and an outside that tells what reached it.
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { vi } from 'vitest'
import type { AuditRecord } from '../../proxy/record/line.ts'
import { makeAuthority, makeServerCertificate } from '../support/pki.ts'
import { Postern, type Workplace, workplace } from '../support/postern.ts'
import { recordsIn } from '../support/records.ts'
import { addresses, users } from './addresses.ts'
import { type Namespaces, namespaces, run } from './namespaces.ts'

export const program = fileURLToPath(new URL('../../cli/postern.js', import.meta.url))
const outsideProgram = fileURLToPath(new URL('outside.ts', import.meta.url))
export const attemptsProgram = fileURLToPath(new URL('attempts.py', import.meta.url))

export const canary = 'canary-pod-51c09e7a'

/** Something that reached the outside. */
export interface Reached {
  readonly reached: string
  readonly by: 'http' | 'tcp' | 'udp' | 'dns'
  /** What was asked of the resolver. */
  readonly name?: string
  readonly port?: number
  readonly from?: string
  readonly url?: string
  readonly host?: string
  readonly authorization?: string
}

export interface Ran {
  readonly code: number | null
  readonly out: string
  readonly errors: string
}

export class SimulatedPod {
  readonly #spaces: Namespaces
  readonly #place: Workplace
  readonly #outside: ChildProcessWithoutNullStreams
  readonly #seen: Reached[] = []
  #proxy: Postern | undefined

  private constructor(spaces: Namespaces, place: Workplace, outside: ChildProcessWithoutNullStreams) {
    this.#spaces = spaces
    this.#place = place
    this.#outside = outside
  }

  /**
   * Without rules and without a proxy, yet.
   * @param more sections of the configuration, in YAML, and files beside it
   */
  static async make(more = '', files: Readonly<Record<string, string>> = {}): Promise<SimulatedPod> {
    const authority = makeAuthority()
    const spaces = await namespaces()
    run([...spaces.inPod, 'sysctl', '-qw', 'net.ipv4.ping_group_range=0 2147483647'])
    const place = await workplace(
      { 'ca.pem': authority.pem, 'postern.yaml': configuration + more, ...files },
      { uid: users.proxy, gid: users.proxy },
    )
    // The agent reads what it must trust, and not the records.
    await chmod(place.path, 0o711)
    await mkdir(join(place.path, 'shared'), { mode: 0o755 })
    run(['chown', `${users.proxy}:${users.proxy}`, join(place.path, 'shared')])
    await writeFile(join(place.path, 'hosts'), '127.0.0.1 localhost\n', { mode: 0o644 })
    await writeFile(join(place.path, 'resolv.conf'), `nameserver ${addresses.gateway}\n`, { mode: 0o644 })
    const certificate = JSON.stringify(makeServerCertificate(authority, ['api.example', 'forbidden.example']))
    const [file = '', ...argv] = [
      ...spaces.outside,
      process.execPath,
      '--disable-warning=ExperimentalWarning',
      outsideProgram,
    ]
    const outside = spawn(file, [...argv, Buffer.from(certificate).toString('base64')])
    outside.stderr.pipe(process.stderr)
    const pod = new SimulatedPod(spaces, place, outside)
    const lines = createInterface({ input: outside.stdout })
    const ready = once(lines, 'line')
    lines.on('line', (line) => {
      const told = JSON.parse(line)
      if ('reached' in told) pod.#seen.push(told)
    })
    await ready
    return pod
  }

  get path(): string {
    return this.#place.path
  }

  get proxyLog(): string {
    return this.#proxy?.errors ?? ''
  }

  /** `postern capture …` as the init container of the pod runs it: root with NET_ADMIN alone. */
  capture(...args: readonly string[]): Promise<Ran> {
    return this.captureWith('net_admin', ...args)
  }

  captureWith(capabilities: string, ...args: readonly string[]): Promise<Ran> {
    return this.#run([
      ...['setpriv', `--bounding-set=-all,+${capabilities}`, '--inh-caps=-all', process.execPath, program, 'capture'],
      ...args,
    ])
  }

  /** @param secrets variables that only the proxy has */
  async startProxy(secrets: Readonly<Record<string, string>> = { API_KEY: canary }): Promise<void> {
    const { path } = this.#place
    const command = [process.execPath, program, 'run', '-c', 'postern.yaml']
    const [file = '', ...argv] = [...this.#spaces.inPod, ...this.#withFiles(users.proxy, command)]
    const child = spawn(file, argv, {
      cwd: path,
      env: { PATH: process.env.PATH ?? '', HOME: path, ...secrets },
    })
    this.#proxy = new Postern(child)
    await this.#proxy.told('ready')
  }

  /** Kills it, as nothing can that an agent may do. */
  async killProxy(): Promise<void> {
    this.#proxy?.child.kill('SIGKILL')
    await this.#proxy?.ended
    this.#proxy = undefined
  }

  /** Runs a command in the agent's container: its user, no capability, the pod's files, no proxy variable but trust. */
  agent(command: readonly string[], uid: number = users.agent): Promise<Ran> {
    return this.#run(this.#withFiles(uid, command))
  }

  /** A command of root in the pod, with every right, and with other variables besides those of trust; undefined takes one out. */
  root(command: readonly string[], variables: Readonly<Record<string, string | undefined>>): Promise<Ran> {
    return this.#run(this.#inPlace(command), variables)
  }

  /** As `agent`, with other variables and these arguments of setpriv besides. */
  agentWith(
    command: readonly string[],
    variables: Readonly<Record<string, string | undefined>>,
    rights: readonly string[] = nothing,
  ): Promise<Ran> {
    return this.#run(this.#inPlace(asUser(users.agent, command, rights)), variables)
  }

  /** A command in a container of the pod: a user without any capability and with no way to get one, and the pod's own hosts and resolver. */
  #withFiles(uid: number, command: readonly string[]): string[] {
    return this.#inPlace(asUser(uid, command, nothing))
  }

  #inPlace(command: readonly string[]): string[] {
    const { path } = this.#place
    const files = `mount --bind ${path}/hosts /etc/hosts; mount --bind ${path}/resolv.conf /etc/resolv.conf; exec "$@"`
    return ['unshare', '-m', 'sh', '-ec', files, 'sh', ...command]
  }

  /** One of the attempts in Python: what it got. */
  async attempt(name: string, ...args: readonly (string | number)[]): Promise<string> {
    const { out, errors } = await this.agent(['/usr/bin/python3', attemptsProgram, name, ...args.map(String)])
    return out.trim() || errors
  }

  async #run(command: readonly string[], variables: Readonly<Record<string, string | undefined>> = {}): Promise<Ran> {
    const [file = '', ...argv] = [...this.#spaces.inPod, ...command]
    const trust = await readFile(join(this.#place.path, 'shared/trust/agent.env'), 'utf8').catch(() => '')
    const environment = Object.fromEntries(
      trust.split('\n').flatMap((line) => {
        const [, name, value] = /^(?:export )?(\w+)=(.*)$/.exec(line) ?? []
        return name === undefined ? [] : [[name, value?.replace(/^(['"])(.*)\1$/, '$2')]]
      }),
    )
    const child = spawn(file, argv, {
      env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', HOME: '/', ...environment, ...variables },
    })
    const timer = setTimeout(() => child.kill('SIGKILL'), 30_000)
    let out = ''
    let errors = ''
    child.stdout.on('data', (text) => (out += text))
    child.stderr.on('data', (text) => (errors += text))
    child.stdin.end()
    const [code] = await once(child, 'close')
    clearTimeout(timer)
    return { code, out, errors }
  }

  /** Runs a command as root of the machine, in the pod. */
  privileged(command: readonly string[]): string {
    return run([...this.#spaces.inPod, ...command])
  }

  /** What has reached the outside since asked last. */
  reached(): readonly Reached[] {
    return this.#seen.splice(0)
  }

  records(): Promise<readonly AuditRecord[]> {
    return recordsIn(join(this.#place.path, 'records.jsonl'))
  }

  /** The first record that fits, once it is written. */
  record(fits: (record: AuditRecord) => boolean): Promise<AuditRecord> {
    return vi.waitFor(async () => {
      const found = (await this.records()).findLast(fits)
      if (found === undefined) throw new Error('no such record')
      return found
    }, 5_000)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.killProxy()
    this.#outside.kill('SIGKILL')
    await this.#place[Symbol.asyncDispose]()
    await this.#spaces[Symbol.asyncDispose]()
  }
}

const nothing = ['--no-new-privs', '--bounding-set=-all', '--inh-caps=-all']

function asUser(uid: number, command: readonly string[], rights: readonly string[]): string[] {
  return ['setpriv', `--reuid=${uid}`, `--regid=${uid}`, '--clear-groups', ...rights, ...command]
}

const configuration = `version: 1
trustDomain: acme.example
listen:
  - { name: pod, address: "127.0.0.1:15001", accept: redirected, callers: [kernel], uids: &who
        { ${users.agent}: spiffe://acme.example/agent, ${users.sidekick}: spiffe://acme.example/sidekick } }
  - { name: pod6, address: "[::1]:15001", accept: redirected, callers: [kernel], uids: *who }
trust: { directory: ./shared }
records: { to: ./records.jsonl }
dns: { listen: ["127.0.0.1:15053", "[::1]:15053"] }
destinations:
  api: { hosts: [api.example], addresses: [203.0.113.0/24, "2001:db8::/32"], ca: [ca.pem] }
  plain: { hosts: [api.example], protocol: http, addresses: [203.0.113.0/24, "2001:db8::/32"] }
  mail: { hosts: [${addresses.api}], protocol: opaque, ports: [2222], addresses: [203.0.113.0/24] }
  relay: { hosts: [mail.example], protocol: opaque, ports: [22], addresses: [203.0.113.0/24] }
  wild: { hosts: ["*.wild.example"], protocol: http, addresses: [203.0.113.0/24] }
credentials:
  key: { kind: env, variable: API_KEY, for: [api] }
rules:
  - name: agent-uses-the-api
    allow: { agents: [spiffe://acme.example/agent], to: [api], methods: [GET], paths: [/v1/**] }
    use: key
  - name: agent-reads-in-clear
    allow: { agents: [spiffe://acme.example/agent], to: [plain], methods: [GET], paths: [/open/**] }
  - name: agent-speaks-an-old-protocol
    allow: { agents: [spiffe://acme.example/agent], to: [mail, relay] }
  - name: agent-roams
    allow: { agents: [spiffe://acme.example/agent], to: [wild], methods: [GET], paths: [/**] }
`
