// JWT-SVIDs verified with keys from files: SPIFFE bundle documents of the own trust domain and of a federated one.
import { generateKeyPairSync } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it, vi } from 'vitest'
import { certificatePem } from '../../certs/pem.ts'
import { openGate, type TestGate } from '../support/gate.ts'
import { signJwt } from '../support/jwt.ts'
import { type Authority, keyPem, makeAuthority, makeSvid } from '../support/pki.ts'
import { WireClient } from '../support/wire-client.ts'

const root = makeAuthority()
const key = () => generateKeyPairSync('ec', { namedCurve: 'P-256' })
const own = key()
const partner = key()
let gate: TestGate

function bundle(kid: string, { publicKey }: typeof own, authority: Authority = makeAuthority()): string {
  return JSON.stringify({
    keys: [
      { kty: 'EC', use: 'x509-svid', x5c: [Buffer.from(authority.certificate).toString('base64')] },
      { ...publicKey.export({ format: 'jwk' }), use: 'jwt-svid', kid },
    ],
  })
}

beforeAll(async () => {
  const svid = makeSvid(root, 'spiffe://acme.example/postern')
  gate = await openGate(
    `identity: { source: files, certificate: svid.pem, key: key.pem, bundles: { acme.example: acme.json } }
federation: { b.example: { source: file, path: b.json } }
listen:
  - { name: mesh, address: "127.0.0.1:0", accept: https-proxy, callers: [jwt-svid] }
`,
    {
      files: {
        'svid.pem': svid.chain.map(certificatePem).join(''),
        'key.pem': keyPem(svid.key),
        'acme.json': bundle('one', own, root),
        'b.json': bundle('one', partner),
      },
    },
  )
})
afterAll(() => gate[Symbol.asyncDispose]())

/** Without rules: `no_rule` is what a caller gets who is known. */
async function call(sub: string, { privateKey }: typeof own): Promise<string> {
  const exp = Math.floor(Date.now() / 1_000) + 300
  const token = signJwt({ alg: 'ES256', kid: 'one' }, { sub, aud: 'spiffe://acme.example/egress', exp }, privateKey)
  await using client = await WireClient.open(
    { host: '127.0.0.1', port: gate.port('mesh') },
    { rejectUnauthorized: false },
  )
  const answer = await client.tunnel('api.example:443', `Proxy-Authorization: Bearer ${token}`)
  return JSON.parse(answer.text).reason
}

it('a token of either domain is verified with the keys of that domain, though both name theirs alike', async () => {
  expect(await call('spiffe://acme.example/agent', own)).toBe('no_rule')
  expect(await call('spiffe://b.example/agent', partner)).toBe('no_rule')
  expect(await call('spiffe://acme.example/agent', partner)).toBe('jwt_svid_bad_signature')
  expect(await call('spiffe://b.example/agent', own)).toBe('jwt_svid_bad_signature')
  expect(await call('spiffe://c.example/agent', own)).toBe('jwt_svid_untrusted_domain')
})

it('a key that is taken out of the file verifies nothing any more, and the other domain goes on', async () => {
  await writeFile(join(gate.folder, 'b.json'), '{"keys":[]}')
  await vi.waitFor(async () => expect(await call('spiffe://b.example/agent', partner)).toBe('jwt_svid_unknown_key'), {
    timeout: 5_000,
    interval: 100,
  })
  expect(await call('spiffe://acme.example/agent', own)).toBe('no_rule')
})
