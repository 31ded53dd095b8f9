// postern identity, as a program, against Workload APIs in this process.
import { spawn } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { decodeJwt } from 'jose'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { jwtBundlesAnswer } from '../../certs/workload-api/proto.ts'
import { makeAuthority } from '../support/pki.ts'
import { failure, scriptedWorkloadApi, svidMessage, x509Message } from '../support/workload-api.ts'

const program = fileURLToPath(new URL('../../cli/postern.js', import.meta.url))
let folder: string

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'postern-identity-'))
})
afterAll(() => rm(folder, { recursive: true }))

async function identity(args: readonly string[], environment: Record<string, string> = {}) {
  const child = spawn(process.execPath, [program, 'identity', ...args], {
    cwd: folder,
    env: { PATH: process.env.PATH ?? '', HOME: folder, ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const [out, err, code] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    new Promise<number | null>((resolve) => child.on('exit', resolve)),
  ])
  return { out, err, code }
}

const keys = Buffer.from('{"keys":[{"kty":"EC","crv":"P-256","x":"AQ","y":"Ag","kid":"one"}]}')

async function served() {
  const api = await scriptedWorkloadApi()
  const first = svidMessage('spiffe://acme.example/postern', { hint: 'internal' })
  const message = x509Message([first, svidMessage('spiffe://acme.example/second')], {
    federatedBundles: new Map([['spiffe://other.example', makeAuthority().certificate]]),
  })
  api.x509 = (stream) => stream.write(message)
  api.jwtBundles = (stream) =>
    stream.write(
      jwtBundlesAnswer(
        new Map([
          ['spiffe://acme.example', keys],
          ['spiffe://other.example', keys],
        ]),
      ),
    )
  return { socket: `unix://${api.path}`, key: Buffer.from(first.key) }
}

test('shows the identities, the one in use first, and the trust; never a key', async () => {
  const { socket, key } = await served()
  const { out, code } = await identity(['--socket', socket])
  expect(code).toBe(0)
  expect(out).toMatch(/^spiffe:\/\/acme\.example\/postern\n {2}the one in use\n {2}hint {5}internal\n {2}serial/)
  expect(out).toMatch(/expires {2}20\d\d-.*Z \(in \d+ min\)/)
  expect(out).toContain('acme.example: 1 roots, 1 keys for JWT-SVIDs, 0 revocation lists')
  expect(out).toContain('other.example: 1 roots')
  expect(out).not.toContain(key.toString('base64').slice(0, 40))
})

test('--json for programs, the socket from the environment', async () => {
  const { socket } = await served()
  const { out, code } = await identity(['--json'], { SPIFFE_ENDPOINT_SOCKET: socket })
  expect(code).toBe(0)
  expect(JSON.parse(out)).toEqual({
    identities: [
      {
        spiffe_id: 'spiffe://acme.example/postern',
        hint: 'internal',
        serial: expect.stringMatching(/^[0-9a-f]+$/),
        expires_at: expect.stringMatching(/Z$/),
        certificates: 1,
      },
      expect.objectContaining({ spiffe_id: 'spiffe://acme.example/second' }),
    ],
    bundles: ['other.example', 'acme.example'].map((trust_domain) => ({
      trust_domain,
      x509_authorities: 1,
      jwt_authorities: 1,
      revocation_lists: 0,
    })),
  })
})

test('what a configuration says, hint and trust domain included', async () => {
  const { socket } = await served()
  const file = join(folder, 'hinted.yaml')
  const written = (trustDomain: string) =>
    `version: 1\ntrustDomain: ${trustDomain}\nidentity: { source: workload-api, socket: "${socket}" }\nrules: []\n`
  await writeFile(file, written('acme.example'))
  expect(await identity(['-c', file])).toMatchObject({ code: 0, out: expect.stringContaining('acme.example/postern') })
  await writeFile(file, written('elsewhere.example'))
  expect(await identity(['-c', file])).toMatchObject({
    code: 69,
    err: expect.stringContaining('spiffe://acme.example/postern is not of the trust domain elsewhere.example'),
  })
})

test('the embedded authority, with a JWT-SVID for the audiences that are named', async () => {
  const file = join(folder, 'embedded.yaml')
  await writeFile(file, 'version: 1\ntrustDomain: acme.example\nidentity: { source: embedded }\nrules: []\n')
  const shown = await identity(['-c', file])
  expect(shown).toMatchObject({ code: 0, out: expect.stringContaining('acme.example/postern') })
  expect(shown.out).not.toContain('JWT-SVID, until')
  const { out } = await identity(['-c', file, '--audience', 'one', '--audience', 'two', '--json'])
  const { jwt_svid } = JSON.parse(out)
  expect(decodeJwt(jwt_svid.token)).toMatchObject({ sub: 'spiffe://acme.example/postern', aud: ['one', 'two'] })
  expect(Date.parse(jwt_svid.expires_at)).toBe((decodeJwt(jwt_svid.token).exp ?? 0) * 1_000)
})

test('a JWT-SVID that is refused is told of, and the rest is shown', async () => {
  const { socket } = await served()
  const { out, err, code } = await identity(['--socket', socket, '--audience', 'one'])
  expect(code).toBe(69)
  expect(out).toContain('spiffe://acme.example/postern')
  expect(err).toContain('permission denied: no identity')
})

test.each([
  ['an address that is none', ['--socket', '/run/agent.sock'], 64, 'not the address of a Workload API'],
  ['a socket where nobody is', ['--socket', 'unix:///nowhere/api.sock'], 69, 'unavailable'],
  ['no configuration', [], 78, 'There is no configuration'],
  ['a configuration without identity', ['-c', 'bare.yaml'], 78, 'has no section identity'],
])('%s ends with its own code and reason', async (_, args, code, reason) => {
  await writeFile(join(folder, 'bare.yaml'), 'version: 1\ntrustDomain: acme.example\nrules: []\n')
  expect(await identity(args)).toMatchObject({ code, err: expect.stringContaining(reason) })
})

test('a process that has no identity is told so', async () => {
  const api = await scriptedWorkloadApi()
  api.x509 = (stream) => stream.emit('error', failure(7, 'no identity issued'))
  const { out, err, code } = await identity(['--socket', `unix://${api.path}`, '--json'])
  expect({ code, answer: JSON.parse(out) }).toEqual({ code: 69, answer: { identities: [], bundles: [] } })
  expect(err).toContain('permission denied: no identity issued')
})
