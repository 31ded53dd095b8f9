// For the tests of isolation: a folder with a configuration, an API and a witness outside, and commands under `postern exec` as a user without rights.
import { type ChildProcessWithoutNullStreams, spawn, spawnSync } from 'node:child_process'
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { chmodSync, chownSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:https'
import { type AddressInfo, createServer as createTcpServer } from 'node:net'
import { networkInterfaces, tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Writable } from 'node:stream'
import { fileURLToPath } from 'node:url'
import { vi } from 'vitest'
import { nativeCalls } from '../../../proxy/identify/kernel/native.ts'
import type { AuditRecord } from '../../../proxy/record/line.ts'
import { makeAuthority, makeServerCertificate } from '../../support/pki.ts'

export const canary = 'canary-isolated-71c2'
export const posternArguments = [
  '--disable-warning=ExperimentalWarning',
  fileURLToPath(new URL('./postern.ts', import.meta.url)),
]
/** The command line with all commands. */
export const program = fileURLToPath(new URL('../../../cli/postern.js', import.meta.url))
export const attemptsProgram = fileURLToPath(new URL('../../pod/attempts.py', import.meta.url))

/** Folders of programs that everybody can look into: one that cannot be would be told of in place of a program that is nowhere. */
export const searched = '/usr/local/bin:/usr/bin:/bin'

/** Root is not isolated, so as root everything here runs as somebody else. */
export const user = process.getuid?.() === 0 ? { uid: 65534, gid: 65534 } : {}
export const ownUid = user.uid ?? process.getuid?.()

/** Why there is no isolation here; undefined where there is. */
export function whyNot(): string | undefined {
  if (process.platform !== 'linux') return 'namespaces are Linux only'
  if (nativeCalls() === undefined) return 'this Node.js has no node:ffi'
  const spaces = ['--user', '--map-current-user', '--keep-caps', '--net']
  const script = 'ip link set lo up && nft add table inet try && command -v nsenter setpriv'
  const tried = spawnSync('unshare', [...spaces, 'sh', '-c', `PATH=$PATH:/usr/sbin:/sbin; ${script}`], {
    ...user,
    encoding: 'utf8',
  })
  if (tried.status === 0) return undefined
  return `no user namespace with nftables can be made: ${tried.error?.message ?? tried.stderr.trim()}`
}

/** An address of this machine that is not loopback, where something may be reached from outside. */
const machine = Object.values(networkInterfaces())
  .flatMap((addresses) => addresses ?? [])
  .find(({ internal, family }) => !internal && family === 'IPv4')?.address

export interface Outside extends AsyncDisposable {
  readonly folder: string
  readonly apiPort: number
  /** Where the witness listens, by TCP and UDP on all addresses. */
  readonly witness: { readonly host: string; readonly port: number }
  /** What the API was sent since asked last. */
  asked(): { url: string | undefined; authorization: string | undefined }[]
  /** What reached the witness since asked last. */
  reached(): string[]
  /** The last record of such a path, once it is written. */
  recordOf(path: string): Promise<AuditRecord>
  /** @param before a program that ends by becoming the one behind it */
  start(argv: readonly string[], before?: readonly string[]): Exec
}

export async function outside(): Promise<Outside> {
  const authority = makeAuthority()
  const asked: { url: string | undefined; authorization: string | undefined }[] = []
  const certificate = makeServerCertificate(authority, ['api.example.test'])
  const api = createServer(certificate, ({ url, headers: { authorization } }, response) => {
    asked.push({ url, authorization })
    response.end('contacts')
  }).listen(0, '127.0.0.1')
  const reached: string[] = []
  const streams = createTcpServer((socket) => {
    reached.push('tcp')
    socket.on('error', () => {}).end('220 outside\r\n')
  }).listen(0, '0.0.0.0')
  await Promise.all([once(api, 'listening'), once(streams, 'listening')])
  const { port } = streams.address() as AddressInfo
  const datagrams = createSocket('udp4').on('message', () => reached.push('udp'))
  datagrams.bind(port, '0.0.0.0')
  await once(datagrams, 'listening')
  const { port: apiPort } = api.address() as AddressInfo
  const folder = mkdtempSync(join(tmpdir(), 'isolated-'))
  mkdirSync(join(folder, 'tmp'))
  writeFileSync(join(folder, 'ca.pem'), authority.pem)
  writeFileSync(join(folder, 'postern.yaml'), configuration(apiPort))
  const { uid, gid } = user
  if (uid !== undefined) for (const each of [folder, join(folder, 'tmp')]) chownSync(each, uid, gid)
  chmodSync(folder, 0o700)
  const started: Exec[] = []
  function records(): AuditRecord[] {
    const file = join(folder, 'records.jsonl')
    const text = existsSync(file) ? readFileSync(file, 'utf8') : ''
    const whole = text.slice(0, text.lastIndexOf('\n') + 1)
    return whole.split('\n').flatMap((line) => (line === '' ? [] : [JSON.parse(line)]))
  }
  return {
    folder,
    apiPort,
    witness: { host: machine ?? '127.0.0.1', port },
    asked: () => asked.splice(0),
    reached: () => reached.splice(0),
    recordOf: (path) =>
      vi.waitFor(() => {
        const found = records().findLast(({ request }) => request?.path === path)
        if (found === undefined) throw new Error(`no record of ${path}`)
        return found
      }, 5_000),
    start(argv, before = []) {
      const run = new Exec(folder, argv, before)
      started.push(run)
      return run
    },
    async [Symbol.asyncDispose]() {
      for (const { child } of started) child.kill('SIGKILL')
      api.closeAllConnections()
      api.close()
      streams.close()
      datagrams.close()
      rmSync(folder, { recursive: true })
    },
  }
}

const configuration = (port: number) => `version: 1
trustDomain: acme.example
exec: { agent: spiffe://acme.example/agent }
resolve: { api.example.test: [127.0.0.1] }
delegation: { grants: [{ agents: [spiffe://acme.example/agent], scopes: ["crm.*"] }] }
destinations:
  api: { hosts: [api.example.test], ports: [${port}], addresses: [127.0.0.0/8], ca: [ca.pem] }
credentials:
  key: { kind: env, variable: API_CANARY, for: [api] }
rules:
  - name: agent-reads
    allow: { agents: [spiffe://acme.example/agent], to: api, methods: [GET] }
    use: key
    inject: bearer
records: { to: ./records.jsonl }
`

/** `postern exec` with a command. */
export class Exec {
  readonly child: ChildProcessWithoutNullStreams
  out = ''
  errors = ''
  /** Its exit code, or the signal that ended it. */
  readonly ended: Promise<number | NodeJS.Signals>

  constructor(folder: string, argv: readonly string[], before: readonly string[]) {
    this.child = spawn(
      before[0] ?? process.execPath,
      [...before.slice(1), ...(before.length > 0 ? [process.execPath] : []), ...posternArguments, 'exec', ...argv],
      {
        ...user,
        cwd: folder,
        env: { PATH: searched, HOME: folder, TMPDIR: join(folder, 'tmp'), API_CANARY: canary },
      },
    )
    this.child.stdout.setEncoding('utf8').on('data', (text: string) => {
      this.out += text
      this.child.emit('said')
    })
    this.child.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.errors += text
    })
    this.child.stdin.on('error', () => {})
    this.ended = once(this.child, 'close').then(([code, signal]) => code ?? signal)
  }

  /** Waits until standard output matches, and gives what was found. */
  async said(pattern: RegExp): Promise<RegExpExecArray> {
    for (;;) {
      const found = pattern.exec(this.out)
      if (found !== null) return found
      const ended = await Promise.race([once(this.child, 'said'), this.ended])
      if (!Array.isArray(ended)) throw new Error(`ended with ${ended} before it said ${pattern}: ${this.errors}`)
    }
  }
}

/** Runs the program of attempts for each list of arguments, without starting Python anew; a line each. */
const batch = `import json, sys
code = compile(open(sys.argv[1]).read(), sys.argv[1], 'exec')
for words in json.loads(sys.argv[2]):
  sys.argv = ['attempts', *words]
  exec(code, {'__name__': 'attempt'})`

/** A shell under `postern exec` that runs one command after the other. */
export class Shell {
  readonly exec: Exec
  readonly #input: Writable
  #count = 0

  /** @param input where it reads, unless on standard input */
  constructor(exec: Exec, input: Writable = exec.child.stdin) {
    this.exec = exec
    this.#input = input
  }

  end(): void {
    this.#input.end()
  }

  /** @returns what it wrote, on either stream, and its exit code */
  run(...command: readonly (string | number)[]): Promise<{ readonly got: string; readonly code: number }> {
    return this.#line(command.map((word) => `'${String(word).replaceAll("'", `'\\''`)}'`).join(' '))
  }

  /** Of the shell itself. */
  async pid(): Promise<number> {
    return Number((await this.#line('echo $$')).got)
  }

  async #line(words: string): Promise<{ readonly got: string; readonly code: number }> {
    const mark = `mark-${this.#count++}`
    const from = this.exec.out.length
    this.#input.write(`( ${words} ) </dev/null 2>&1; echo "${mark}=$?"\n`)
    const [, got = '', code] = await this.exec.said(new RegExp(`^[^]{${from}}([^]*)${mark}=(\\d+)\n`))
    return { got: got.trim(), code: Number(code) }
  }

  /** Several, in one process. */
  async attempts(each: readonly (readonly (string | number)[])[]): Promise<string[]> {
    const all = JSON.stringify(each.map((words) => words.map(String)))
    return (await this.run('/usr/bin/python3', '-c', batch, attemptsProgram, all)).got.split('\n')
  }

  async attempt(name: string, ...args: readonly (string | number)[]): Promise<string> {
    return (await this.run('/usr/bin/python3', attemptsProgram, name, ...args)).got
  }
}

/** A program without a word of proxies in its environment. */
export const withoutProxy = [
  'env',
  ...['HTTP_PROXY', 'HTTPS_PROXY', 'ALL_PROXY', 'NO_PROXY'].flatMap((name) => ['-u', name, '-u', name.toLowerCase()]),
  ...['-u', 'NODE_USE_ENV_PROXY'],
]
