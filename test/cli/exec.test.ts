// The whole of `postern exec`, as one user on one machine: an agent, its neighbours, an API behind the proxy.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { createServer, type Server } from 'node:https'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest'
import { kernelFacts } from '../../proxy/identify/kernel/facts.ts'
import { nativeCalls } from '../../proxy/identify/kernel/native.ts'
import { makeAuthority, makeServerCertificate } from '../support/pki.ts'
import { whyNot } from './exec/isolated.ts'

const canary = 'canary-5d1c2f7e9b'
/** Root may look everywhere, so as root everything here runs as somebody else. */
const user = process.getuid?.() === 0 ? { uid: 65534, gid: 65534 } : {}
const postern = ['--disable-warning=ExperimentalWarning', fileURLToPath(new URL('./exec/postern.ts', import.meta.url))]
const walled = whyNot() === undefined
const kernel = kernelFacts().limit === undefined

/** What the API was sent. */
let authorizations: (string | undefined)[] = []
let api: Server
let port: number
let folder: string
const children: ChildProcess[] = []

const authority = makeAuthority()

beforeAll(async () => {
  api = createServer(
    makeServerCertificate(authority, ['api.example.test', 'model.example.test']),
    (request, response) => {
      authorizations.push(request.headers.authorization)
      response.end('contacts')
    },
  ).listen(0, '127.0.0.1')
  await once(api, 'listening')
  const address = api.address()
  port = address !== null && typeof address === 'object' ? address.port : 0
})
afterAll(() => {
  api.closeAllConnections()
  api.close()
})

beforeEach(() => {
  authorizations = []
  folder = mkdtempSync(join(tmpdir(), 'exec-test-'))
  mkdirSync(join(folder, 'tmp'))
  writeFileSync(join(folder, 'ca.pem'), authority.pem)
  writeFileSync(
    join(folder, 'postern.yaml'),
    `version: 1
trustDomain: acme.example
exec: { agent: spiffe://acme.example/agent }
resolve: { api.example.test: [127.0.0.1], model.example.test: [127.0.0.1] }
destinations:
  api: { hosts: [api.example.test], ports: [${port}], addresses: [127.0.0.0/8], ca: [ca.pem] }
  model: { hosts: [model.example.test], ports: [${port}], addresses: [127.0.0.0/8], ca: [ca.pem] }
credentials:
  key: { kind: env, variable: API_CANARY, for: [api] }
  model-key: { kind: env, variable: MODEL_KEY, for: [model] }
rules:
  - name: agent-reads
    allow: { agents: [spiffe://acme.example/agent], to: api, methods: [GET] }
    use: key
    inject: bearer
  - name: agent-asks
    allow: { agents: [spiffe://acme.example/agent], to: model }
    use: model-key
    inject: { placeholder: { env: MODEL_KEY } }
records: { to: ./records.jsonl }
`,
  )
  if (user.uid !== undefined) for (const each of [folder, join(folder, 'tmp')]) chownSync(each, user.uid, user.gid)
  chmodSync(folder, 0o700)
})
afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL')
  rmSync(folder, { recursive: true })
})

interface Running {
  readonly child: ChildProcess
  /** The next line that the command says. */
  line(): Promise<string>
  readonly errors: Promise<string>
}

function start(argv: readonly string[], environment: Record<string, string> = {}): Running {
  const child = spawn(process.execPath, [...postern, 'exec', ...argv], {
    ...user,
    cwd: folder,
    stdio: 'pipe',
    env: { PATH: process.env.PATH, HOME: folder, TMPDIR: join(folder, 'tmp'), API_CANARY: canary, ...environment },
  })
  children.push(child)
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  const errors = text(child.stderr)
  const line = async () => {
    const { value, done } = await lines.next()
    if (done === true) throw new Error(`the command said nothing more; standard error: ${await errors}`)
    return value
  }
  return { child, errors, line }
}

async function codeOf({ child }: Running): Promise<number | string | null> {
  if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
  return child.exitCode ?? child.signalCode
}

const records = () =>
  existsSync(join(folder, 'records.jsonl')) ? readFileSync(join(folder, 'records.jsonl'), 'utf8') : ''

const url = () => `https://api.example.test:${port}/v1/contacts`

const off = '--isolate=off'
/** Where no namespace can be had, the second is the first. */
const both = [[off], ['--isolate=auto']]

/** A program that fetches, and says status and body in a line. */
const fetching = `fetch(process.argv[1]).then(async (a) => console.log(a.status, await a.text()), (e) => console.log('failed', e.cause?.message ?? e))`
const node = (program: string, ...argv: string[]) => ['--', process.execPath, '-e', program, ...argv]

describe('before anything is started', () => {
  test('no configuration: 78, and how to make one', async () => {
    rmSync(join(folder, 'postern.yaml'))
    const run = start(['--', 'touch', 'started'])
    expect(await codeOf(run)).toBe(78)
    expect(await run.errors).toContain('Make one, for instance')
    expect(existsSync(join(folder, 'started'))).toBe(false)
  })

  test('a configuration with a mistake: 78, with its place', async () => {
    const broken = readFileSync(join(folder, 'postern.yaml'), 'utf8').replace('inject: bearer', 'inject: barer')
    writeFileSync(join(folder, 'postern.yaml'), broken)
    const run = start(['--', 'touch', 'started'])
    expect(await codeOf(run)).toBe(78)
    expect(await run.errors).toMatch(/postern\.yaml:15:/)
    expect(existsSync(join(folder, 'started'))).toBe(false)
  })

  test.each([
    ['no command', []],
    ['an option that does not exist', ['--nope', '--', 'true']],
    ['an agent that is no SPIFFE ID', ['--as', 'me', '--', 'true']],
  ])('%s: 64', async (_what, argv) => {
    expect(await codeOf(start(argv))).toBe(64)
  })
})

describe('the command', () => {
  test.each(both)('%s: reaches the API with a credential that it never sees', async (wall) => {
    const look = `
      const fs = require('node:fs')
      const read = (path) => { try { return fs.readFileSync(path, 'latin1') } catch (error) { return error.code } }
      const parent = ['environ', 'maps', 'auxv'].map((file) => read('/proc/' + process.ppid + '/' + file))
      console.log(JSON.stringify({ env: process.env, own: read('/proc/self/environ'), parent }))`
    const run = start([wall, ...node(`${look};${fetching}`, url())])
    const seen = await run.line()
    expect(await run.line()).toBe('200 contacts')
    expect(await codeOf(run)).toBe(0)
    expect(authorizations).toEqual([`Bearer ${canary}`])
    expect(seen).not.toContain(canary)
    if (nativeCalls() !== undefined) expect(JSON.parse(seen).parent).toEqual(['EACCES', 'EACCES', 'EACCES'])
    expect(await run.errors).not.toContain(canary)
    expect(records()).not.toContain(canary)
  })

  test.each(both)('%s: holds a stand-in in the variable that held the key, and the API gets the key', async (wall) => {
    const program = `
      console.log(process.env.MODEL_KEY)
      const headers = { authorization: 'Bearer ' + process.env.MODEL_KEY }
      fetch(process.argv[1], { headers }).then(async (a) => console.log(a.status, await a.text()))`
    const argv = ['--quiet', wall, ...node(program, `https://model.example.test:${port}/v1`)]
    const run = start(argv, { MODEL_KEY: 'canary-model' })
    expect(await run.line()).not.toContain('canary')
    expect(await run.line()).toBe('200 contacts')
    expect(await codeOf(run)).toBe(0)
    expect(authorizations).toEqual(['Bearer canary-model'])
    expect(await run.errors).toBe('')
  })

  test('is in the record, with what proves it without a wall', async () => {
    const run = start([off, ...node(fetching, url())])
    await run.line()
    await codeOf(run)
    expect(records()).toContain('spiffe://acme.example/agent')
    expect(records()).toContain(kernel ? '["kernel","run-token"]' : '["run-token"]')
  })

  test.skipIf(!kernel)('is told from a neighbour that has stolen its token', async () => {
    const run = start([off, ...node(`console.log(process.env.HTTPS_PROXY); process.stdin.resume()`)])
    const proxy = await run.line()
    const stealing = `
      const { hostname: host, port, username, password } = new URL(process.argv[1])
      const authorization = 'Basic ' + btoa(username + ':' + password)
      const options = { host, port, path: process.argv[2], headers: { host: 'api.example.test', 'proxy-authorization': authorization } }
      require('node:http').get(options, (answer) => answer.pipe(process.stdout))`
    const argv = ['-e', stealing, proxy, 'http://api.example.test/']
    const neighbour = spawn(process.execPath, argv, { ...user, stdio: ['ignore', 'pipe', 'inherit'] })
    const problem = JSON.parse(await text(neighbour.stdout))
    expect(problem).toMatchObject({ status: 407, reason: 'unidentified_caller' })
    run.child.stdin?.end()
    expect(await codeOf(run)).toBe(0)
    expect(authorizations).toEqual([])
    expect(records()).toContain('the process that holds the caller’s socket does not descend from the command')
  })

  test.skipIf(nativeCalls() === undefined).each(both)('%s: may have a daemon do it', async (wall) => {
    const script = `(setsid "$0" -e "$1" "$2" &) ; read line`
    const run = start([wall, '--', 'sh', '-c', script, process.execPath, fetching, url()])
    expect(await run.line()).toBe('200 contacts')
    run.child.stdin?.write('\n')
    expect(await codeOf(run)).toBe(0)
  })

  test('gets its input, and its exit code is ours', async () => {
    const run = start(['--', 'sh', '-c', 'read line; echo got $line; exit 23'])
    run.child.stdin?.write('this\n')
    expect(await run.line()).toBe('got this')
    expect(await codeOf(run)).toBe(23)
  })

  test('may be written without dashes before it', async () => {
    const run = start(['sh', '-c', 'echo "$@"', 'sh', '--verbose', '-c'])
    expect(await run.line()).toBe('--verbose -c')
    expect(await codeOf(run)).toBe(0)
  })
})

describe('afterwards', () => {
  test.each(['SIGTERM', 'SIGINT'] as const)('nothing is left behind, also when %s ended it', async (signal) => {
    const program = `console.log(process.env.HTTPS_PROXY, process.env.SSL_CERT_FILE); process.stdin.resume()`
    const run = start([off, ...node(program)])
    const [proxy = '', trusted = ''] = (await run.line()).split(' ')
    expect(readFileSync(trusted, 'utf8')).toContain('BEGIN CERTIFICATE')
    run.child.kill(signal)
    expect(await codeOf(run)).toBe(signal === 'SIGTERM' ? 143 : 130)
    expect(readdirSync(join(folder, 'tmp'))).toEqual([])
    const [error] = await once(connect(Number(new URL(proxy).port), '127.0.0.1'), 'error')
    expect(error).toMatchObject({ code: 'ECONNREFUSED' })
    expect(await run.errors).toBe('')
  })
})

describe('what is said on standard error', () => {
  test('names variables that look like credentials, once and without their values', async () => {
    const run = start(['--quiet', '--keep-env', 'GH_TOKEN', '--', 'true'], {
      AWS_SECRET_ACCESS_KEY: 'value-a',
      GH_TOKEN: 'value-b',
    })
    expect(await codeOf(run)).toBe(0)
    expect(await run.errors).toBe(
      'postern: handed on, though it looks like a credential: AWS_SECRET_ACCESS_KEY (--drop-env, --keep-env).\n',
    )
  })

  test.skipIf(nativeCalls() === undefined)(
    'without a wall, names a process above that still shows a secret',
    async () => {
      const argv = [process.execPath, ...postern, 'exec', off, '--', 'true']
      const shell = spawn('sh', ['-c', '"$0" "$@"; exit $?', ...argv], {
        ...user,
        cwd: folder,
        stdio: ['ignore', 'inherit', 'pipe'],
        env: { PATH: process.env.PATH, HOME: folder, TMPDIR: join(folder, 'tmp'), API_CANARY: canary },
      })
      expect(await text(shell.stderr)).toBe(
        `postern: the command can read API_CANARY in the environment of process ${shell.pid} (sh), which started it.\n`,
      )
    },
  )

  test('is in one line whether it is walled in, and why not, unless nobody wants to know', async () => {
    const runs = [[], ['--quiet'], [off]].map((options) => start([...options, '--', 'true']))
    const [told = '', ...untold] = await Promise.all(runs.map(({ errors }) => errors))
    expect(told).toMatch(
      walled
        ? /^postern: walled in: all that the command sends comes to the proxy; localhost is its own \(.*\)\.\n$/
        : /^postern: not walled in: .*; what ignores the proxy variables reaches the network, without credentials\.\n$/,
    )
    expect(untold).toEqual(['', ''])
  })

  test('tells with --verbose what was set up', async () => {
    const run = start(['--verbose', '--bypass', '', '--', 'true'])
    await codeOf(run)
    const errors = await run.errors
    expect(errors).toContain('the command is spiffe://acme.example/agent')
    expect(errors).toContain(`records go to ${join(folder, 'records.jsonl')}`)
    expect(errors).toContain('called directly: nothing')
  })
})

test('records go to a file of the user’s own when the configuration would write them to standard output', async () => {
  const config = readFileSync(join(folder, 'postern.yaml'), 'utf8').replace(/^records: .*$/m, '')
  writeFileSync(join(folder, 'postern.yaml'), config)
  const run = start(node(fetching, url()))
  expect(await run.line()).toBe('200 contacts')
  expect(await codeOf(run)).toBe(0)
  await vi.waitFor(
    () => expect(readFileSync(join(folder, '.local/state/postern/records.jsonl'), 'utf8')).toContain('agent-reads'),
    { timeout: 10_000 },
  )
})
