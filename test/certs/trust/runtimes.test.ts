// What each runtime and tool here trusts: our authority by the trust files and by nothing else, whatever the image that it
// comes in has set before. One that had no way to trust it would see no handshake through; that is what is counted.
import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer as createHttpServer } from 'node:http'
import { type AddressInfo, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { TLSSocket } from 'node:tls'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { LeafIssuer } from '../../../certs/leaf-issuer.ts'
import { certificatePem } from '../../../certs/pem.ts'
import { PodAuthority } from '../../../certs/pod-authority.ts'
import { systemRoots } from '../../../certs/trust/system-roots.ts'
import { writeTrustFiles } from '../../../certs/trust-files.ts'
import { missing } from '../../support/programs.ts'

const authority = new PodAuthority({ now: Date.now })

interface Runtime {
  readonly name: string
  /** Ends with 0 where it is here. */
  readonly probe: readonly string[]
  /** Asks for the URL; its trust comes from the environment alone. */
  readonly ask: (url: string) => readonly string[]
}

const python = (program: string) => (url: string) => ['python3', '-c', program.replace('URL', url)]
const fetching = (url: string) => ['-e', `fetch('${url}').then(async (answer) => console.log(await answer.text()))`]
const goProgram = `package main
import ("net/http"; "os")
func main() { if _, err := http.Get(os.Args[1]); err != nil { println(err.Error()); os.Exit(1) } }
`

/** The Node of the machine, past the one that npm brought. */
const otherPath = (process.env.PATH ?? '')
  .split(delimiter)
  .filter((folder) => !folder.includes('node_modules'))
  .join(delimiter)

const runtimes: readonly Runtime[] = [
  {
    name: 'the Node that Postern runs on',
    probe: [process.execPath, '-v'],
    ask: (url) => [process.execPath, ...fetching(url)],
  },
  { name: 'the Node of the machine', probe: ['node', '-v'], ask: (url) => ['node', ...fetching(url)] },
  { name: 'npm', probe: ['npm', '-v'], ask: (url) => ['npm', 'ping', '--registry', url, '--fetch-retries=0'] },
  { name: 'curl', probe: ['curl', '-V'], ask: (url) => ['curl', '-sS', url] },
  { name: 'wget', probe: ['wget', '-V'], ask: (url) => ['wget', '-nv', '--tries=1', '-O', '-', url] },
  { name: 'git', probe: ['git', '--version'], ask: (url) => ['git', 'ls-remote', `${url}team.git`] },
  {
    name: 'urllib of Python',
    probe: ['python3', '-V'],
    ask: python("import urllib.request as r; print(r.urlopen('URL').read())"),
  },
  {
    name: 'requests of Python',
    probe: ['python3', '-c', 'import requests'],
    ask: python("import requests; print(requests.get('URL').text)"),
  },
  {
    name: 'httpx of Python',
    probe: ['python3', '-c', 'import httpx'],
    ask: python("import httpx; print(httpx.get('URL').text)"),
  },
  {
    name: 'pip',
    probe: ['python3', '-m', 'pip', '-V'],
    ask: (url) => [
      'python3',
      '-m',
      'pip',
      'download',
      '--no-deps',
      '--retries',
      '0',
      '--index-url',
      `${url}simple/`,
      'nothing',
    ],
  },
  { name: 'Go', probe: ['go', 'version'], ask: (url) => ['./client', url] },
  {
    name: 'Java',
    probe: ['java', '-version'],
    ask: (url) => ['java', join(import.meta.dirname, '../../support/Fetch.java'), url],
  },
]

/** As images set them: the roots of the system, where each program looks first. */
const preset = [
  'SSL_CERT_FILE',
  'SSL_CERT_DIR',
  'CURL_CA_BUNDLE',
  'REQUESTS_CA_BUNDLE',
  'PIP_CERT',
  'GIT_SSL_CAINFO',
  'npm_config_cafile',
  'NODE_EXTRA_CA_CERTS',
]

let folder: string
let url: string
let asked = 0
const answering = createHttpServer((_, response) => {
  asked += 1
  response.end('{}')
})
const context = new LeafIssuer(authority, { now: Date.now }).contextFor('localhost')
// Java names no server when it has no dot, so there is one context for all.
const server = createServer((raw) => {
  raw.on('error', () => {})
  const inside = new TLSSocket(raw, { isServer: true, secureContext: context })
  answering.emit(
    'connection',
    inside.on('error', () => {}),
  )
})

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'postern-runtimes-'))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  url = `https://localhost:${(server.address() as AddressInfo).port}/`
  await writeFile(join(folder, 'main.go'), goProgram)
  await writeFile(join(folder, 'go.mod'), 'module client\n\ngo 1.20\n')
  if (missing('Go', ['go', 'version']) === undefined)
    await run(['go', 'build', '-o', 'client', '.'], { ...process.env, GOPROXY: 'off', GOFLAGS: '-mod=mod' })
}, 120_000)

afterAll(async () => {
  server.close()
  answering.closeAllConnections()
  await rm(folder, { recursive: true, force: true })
})

beforeEach(() => {
  asked = 0
})

/** How it ended does not matter: what the server says is no registry and no repository. */
function run(
  [file = '', ...args]: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
): Promise<void> {
  return new Promise((resolve) => {
    execFile(file, args, { env, cwd: folder, timeout: 30_000 }, () => resolve())
  })
}

describe.each(runtimes)('$name', ({ name, probe, ask }) => {
  const left = missing(name, probe)

  test.skipIf(left !== undefined)(
    `asks nothing of our leaf without the files, and asks with them${left === undefined ? '' : ` (left out: ${left})`}`,
    { timeout: 60_000 },
    async () => {
      const roots = join(folder, 'roots.pem')
      await writeFile(roots, (await systemRoots({})).map(certificatePem).join(''))
      const ofImage = Object.fromEntries(
        preset.map((variable) => [variable, variable.endsWith('DIR') ? '/etc/ssl/certs' : roots]),
      )
      const { environment, remove } = await writeTrustFiles({
        directory: folder,
        caPem: authority.certificatePem,
        inherited: ofImage,
      })
      const base = { PATH: otherPath, HOME: folder, PIP_DISABLE_PIP_VERSION_CHECK: '1' }
      try {
        await run(ask(url), { ...base, ...ofImage })
        expect(asked).toBe(0)
        await run(ask(url), { ...base, ...ofImage, ...environment })
        expect(asked).toBeGreaterThan(0)
      } finally {
        await remove()
      }
    },
  )
})
