// Ordinary clients, unmodified, find the proxy by the variables that `exec` sets, bring the token, and are told by the kernel.
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { text } from 'node:stream/consumers'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { parseSpiffeId } from '../../../certs/spiffe-id.ts'
import { commandEnvironment } from '../../../cli/exec/environment.ts'
import { kernelFacts } from '../../../proxy/identify/kernel/facts.ts'
import { RUN_USER, RunTokenAttestor } from '../../../proxy/identify/run-token.ts'
import { connectionOf } from '../../proxy/identify/kernel/gate.ts'

const token = randomBytes(32).toString('base64url')
const facts = kernelFacts()
const proofs = facts.limit === undefined ? 'kernel run-token' : 'run-token'

/** A proxy that answers each request itself: with the proofs of its caller. */
const server = createServer((request, response) => void answer(request, response))
let root: ChildProcess | undefined
let seen: string[] = []
let port = 0
beforeEach(async () => {
  seen = []
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  port = address !== null && typeof address === 'object' ? address.port : 0
})
afterEach(async () => {
  server.closeAllConnections()
  server.close()
  await once(server, 'close')
})

const attestor = new RunTokenAttestor({
  tokenDigest: createHash('sha256').update(token).digest(),
  agent: parseSpiffeId('spiffe://acme.example/agent'),
  uid: process.getuid?.(),
  rootPid: () => root?.pid,
  facts,
})

async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const caller = await attestor
    .attest(connectionOf(request.socket, request.headers['proxy-authorization']))
    .catch((error: unknown) => String(error))
  if (caller === undefined) {
    // Some clients send a password only after they were asked for it.
    response.writeHead(407, { 'proxy-authenticate': 'Basic realm="postern"' }).end()
    return
  }
  seen.push(
    `${request.method} ${request.url?.split('?')[0]} ${typeof caller === 'string' ? caller : caller.proofs.join(' ')}`,
  )
  response.end(`hello`)
}

async function run(file: string, argv: readonly string[]): Promise<string> {
  const { variables } = commandEnvironment({
    inherited: { PATH: process.env.PATH, HOME: process.env.HOME, GIT_TERMINAL_PROMPT: '0' },
    secrets: new Set(),
    keep: new Set(),
    dropLookalikes: false,
    proxy: { host: '127.0.0.1', port, user: RUN_USER, token },
    noProxy: [],
    trust: {},
    standIns: [],
  })
  root = spawn(file, argv, { env: variables, stdio: ['ignore', 'pipe', 'pipe'] })
  if (root.stdout === null) throw new Error('no output')
  return text(root.stdout)
}

const has = (file: string, ...argv: string[]): boolean => spawnSync(file, argv).status === 0

const url = 'http://api.example.test/hello'
const urllib = `import urllib.request; print(urllib.request.urlopen("${url}").read().decode())`
const requests = `import requests; print(requests.get("${url}").text)`
const clients = [
  ['curl', has('curl', '--version'), 'curl', ['-s', url]],
  ['wget', has('wget', '--version'), 'wget', ['-q', '-O', '-', url]],
  ['Python urllib', has('python3', '-c', 'import urllib'), 'python3', ['-c', urllib]],
  ['Python requests', has('python3', '-c', 'import requests'), 'python3', ['-c', requests]],
  ['Node fetch', true, process.execPath, ['-e', `fetch('${url}').then((a) => a.text()).then(console.log)`]],
  ['Node http', true, process.execPath, ['-e', `require('http').get('${url}', (a) => a.pipe(process.stdout))`]],
] as const

describe('a client of the command', () => {
  for (const [name, present, file, argv] of clients) {
    test.skipIf(!present)(`${name}${present ? '' : ' (skipped: not installed)'} is attested`, async () => {
      expect((await run(file, argv)).trim()).toBe('hello')
      expect(seen).toEqual([`GET ${url} ${proofs}`])
    })
  }

  // A child of git does the transfer, so that the kernel has to follow the tree; and it asks without a password first.
  test.skipIf(!has('git', '--version'))('git is attested (needs git)', async () => {
    await run('git', ['ls-remote', 'http://git.example.test/repo.git'])
    expect(seen[0]).toBe(`GET http://git.example.test/repo.git/info/refs ${proofs}`)
  })
})
