import { once } from 'node:events'
import { chmod, lstat, mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { decodeJwt } from 'jose'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { CredentialManager } from '../../../proxy/obtain/manager.ts'
import type { CredentialProvider } from '../../../proxy/obtain/provider.ts'
import { createProvider } from '../../../proxy/obtain/providers.ts'
import { credentialSchema } from '../../../proxy/obtain/settings.ts'
import { type AuthorizationServer, startAuthorizationServer } from '../../support/authorization-server.ts'
import { makeAuthority, makeServerCertificate } from '../../support/pki.ts'
import { surroundingsOf } from './surroundings.ts'
import { delegatedNeed, gate, needOf, never, refusalOf } from './world.ts'

const crm = 'https://api.crm.example/'

let folder: string
let path: string
let server: AuthorizationServer
const providers: CredentialProvider[] = []

beforeAll(async () => {
  server = await startAuthorizationServer({
    clients: [{ id: 'desk', auth: { method: 'client_secret_basic', secret: 'd3sk' } }],
    resources: { [crm]: { scopes: ['contacts.read', 'contacts.write'] } },
  })
})
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'postern-refresh-'))
  path = join(folder, 'refresh-token')
  await writeFile(join(folder, 'ca.pem'), server.ca)
  await writeFile(path, `${await grant()}\n`)
})
afterEach(async () => {
  for (const provider of providers.splice(0)) provider.close?.()
  await chmod(folder, 0o700)
  await rm(folder, { recursive: true, force: true })
})
afterAll(() => server[Symbol.asyncDispose]())

const grant = () =>
  server.grantRefreshToken({
    client: 'desk',
    account: 'ada',
    resource: crm,
    scopes: ['contacts.read', 'contacts.write'],
  })

function providerOf(settings: Record<string, unknown> = {}): CredentialProvider {
  const provider = createProvider(
    'crm-token',
    credentialSchema.parse({
      kind: 'oauth2-refresh-token',
      for: ['crm'],
      issuer: server.issuer,
      client: { id: 'desk', auth: 'client_secret_basic', secret: '${env:DESK}' },
      scopes: ['contacts.read'],
      refreshTokenFile: path,
      ca: [join(folder, 'ca.pem')],
      ...settings,
    }),
    surroundingsOf({ environment: { DESK: 'd3sk' } }),
  )
  providers.push(provider)
  return provider
}

/** A token server that rotates, and does as it is told before it answers. */
async function rotatingServer(before: (calls: number) => Promise<void>) {
  const authority = makeAuthority()
  const spent: (string | null)[] = []
  const rotating = createServer(makeServerCertificate(authority, ['127.0.0.1']), async (request, response) => {
    let body = ''
    for await (const chunk of request) body += chunk
    spent.push(new URLSearchParams(body).get('refresh_token'))
    await before(spent.length)
    response.writeHead(200, { 'content-type': 'application/json' })
    response.end(JSON.stringify({ access_token: 'a', token_type: 'Bearer', refresh_token: `next-${spent.length}` }))
  }).listen(0, '127.0.0.1')
  await once(rotating, 'listening')
  const ca = join(folder, 'rotating.pem')
  await writeFile(ca, authority.pem)
  return {
    settings: { tokenEndpoint: `https://127.0.0.1:${(rotating.address() as AddressInfo).port}/`, ca: [ca] },
    spent,
    close: () => {
      rotating.closeAllConnections()
      rotating.close()
    },
  }
}

const stored = async () => (await readFile(path, 'utf8')).trim()

describe('refuses', () => {
  it('without a file', async () => {
    await rm(path)
    const refusal = await refusalOf(providerOf().obtain(needOf(), never))
    expect(refusal.reason).toBe('credential_unavailable')
    expect(refusal.detail).toBe(`${path}: ENOENT`)
  })

  it('with an empty file, as a grant that must be given anew', async () => {
    await writeFile(path, '\n')
    expect((await refusalOf(providerOf().obtain(needOf(), never))).reason).toBe('consent_required')
  })

  it('a grant that has ended, tells the code, and does not ask again with the same token', async () => {
    await writeFile(path, 'ended')
    const provider = providerOf()
    const before = server.tokenCalls
    const refusal = await refusalOf(provider.obtain(needOf(), never))
    expect(refusal.reason).toBe('consent_required')
    expect(refusal.detail).toMatch(/answered 400: invalid_grant$/)
    const again = await refusalOf(provider.obtain(needOf(), never))
    expect(again.reason).toBe('consent_required')
    expect(again.detail).toBe(`the refresh token in ${path} has ended`)
    expect(server.tokenCalls - before).toBe(1)
    expect(await stored()).toBe('ended')
  })

  it('until a new one stands in the file', async () => {
    await writeFile(path, 'ended')
    const provider = providerOf()
    await refusalOf(provider.obtain(needOf(), never))
    await writeFile(path, await grant())
    expect(decodeJwt((await provider.obtain(needOf(), never)).secret.reveal())).toMatchObject({ sub: 'ada' })
  })

  it.skipIf(process.platform !== 'linux')(
    'before the token is spent, where it could not be written back (needs /proc)',
    async () => {
      const before = server.tokenCalls
      // A file that can be read, in a folder where nobody can make one.
      const refusal = await refusalOf(
        providerOf({ refreshTokenFile: '/proc/sys/kernel/ostype' }).obtain(needOf(), never),
      )
      expect(refusal.reason).toBe('credential_unavailable')
      expect(refusal.detail).toMatch(/^\/proc\/sys\/kernel\/ostype cannot be replaced: E/)
      expect(server.tokenCalls).toBe(before)
    },
  )

  it('what the server refuses for another reason, without giving up the grant', async () => {
    const provider = providerOf({ client: { id: 'desk', auth: 'client_secret_basic', secret: '${file:/none}' } })
    expect((await refusalOf(provider.obtain(needOf(), never))).reason).toBe('credential_unavailable')
    expect(await stored()).not.toBe('')
  })

  it('and leaves nothing beside the file', async () => {
    await writeFile(path, 'ended')
    await refusalOf(providerOf().obtain(needOf(), never))
    expect((await readdir(folder)).sort()).toEqual(['ca.pem', 'refresh-token'])
  })
})

describe('a rotated token', () => {
  it('stands in the file, for its owner alone, before the access token is used', async () => {
    await chmod(path, 0o644)
    const first = await stored()
    const lease = await providerOf().obtain(needOf(), never)
    expect(decodeJwt(lease.secret.reveal())).toMatchObject({ sub: 'ada', scope: 'contacts.read' })
    expect(lease.scopes).toEqual(['contacts.read'])
    expect(await stored()).not.toBe(first)
    expect((await stat(path)).mode & 0o777).toBe(0o600)
    expect((await readdir(folder)).sort()).toEqual(['ca.pem', 'refresh-token'])
  })

  it('serves the next call, and the one after a restart', async () => {
    const provider = providerOf()
    for (let round = 0; round < 3; round += 1) await provider.obtain(needOf(), never)
    await providerOf().obtain(needOf(), never)
  })

  it('replaces what a symlink leads to, not the symlink', async () => {
    const kept = join(folder, 'kept')
    await mkdir(kept)
    await writeFile(join(kept, 'token'), await stored())
    await rm(path)
    await symlink('kept/token', path)
    const first = await stored()
    await providerOf().obtain(needOf(), never)
    expect((await lstat(path)).isSymbolicLink()).toBe(true)
    expect(await stored()).not.toBe(first)
  })

  it('is never spent twice, though several credentials share the file', async () => {
    const shared = [providerOf(), providerOf({ scopes: ['contacts.write'] }), providerOf()]
    const leases = await Promise.all(shared.map((provider) => provider.obtain(needOf(), never)))
    expect(leases.map(({ scopes }) => scopes)).toEqual([['contacts.read'], ['contacts.write'], ['contacts.read']])
  })
})

it('a token that is being spent is waited for and kept, though the proxy ends', async () => {
  const reached = gate()
  const answer = gate()
  const slow = await rotatingServer(async () => {
    reached.open()
    await answer.closed
  })
  await writeFile(path, 'first')
  const provider = providerOf({ issuer: undefined, ...slow.settings })
  const manager = new CredentialManager(new Map([['crm-token', { provider, ttl: undefined }]]), { clock: Date.now })
  const waiting = refusalOf(manager.obtain('crm-token', needOf(), never))
  await reached.closed
  const closed = manager.close()
  expect((await waiting).reason).toBe('shutting_down')
  answer.open()
  await closed
  expect(await stored()).toBe('next-1')
  expect(slow.spent).toEqual(['first'])
  slow.close()
})

it('a token that could not be written is kept, written at the next call, and spent then', async () => {
  const rotating = await rotatingServer(async (calls) => {
    if (calls > 1) return
    // A folder in its place: what was ready to be put there cannot be.
    await rm(path)
    await mkdir(path)
  })
  await writeFile(path, 'first')
  const provider = providerOf({ issuer: undefined, ...rotating.settings })

  const refusal = await refusalOf(provider.obtain(needOf(), never))
  expect(refusal.reason).toBe('credential_unavailable')
  expect(refusal.detail).toMatch(/cannot be replaced: E/)
  await rm(path, { recursive: true })
  await writeFile(path, 'first')
  expect((await provider.obtain(needOf(), never)).secret.reveal()).toBe('a')
  expect(rotating.spent).toEqual(['first', 'next-1'])
  expect(await stored()).toBe('next-2')
  rotating.close()
})

it('a thousand requests spend it once', async () => {
  const manager = new CredentialManager(new Map([['crm-token', { provider: providerOf(), ttl: undefined }]]), {
    clock: Date.now,
  })
  const before = server.tokenCalls
  await Promise.all(Array.from({ length: 1_000 }, async () => manager.obtain('crm-token', needOf(), never)))
  expect(server.tokenCalls - before).toBe(1)
})

describe('under a delegation', () => {
  const planner = 'spiffe://acme.example/ns/agents/sa/planner'
  const narrowed = { scopes: ['contacts.read', 'contacts.write'], delegated: { 'contacts.read': 'crm.contacts.read' } }

  it('asks for what every hop holds, keeps the whole grant, and gives others theirs', async () => {
    const provider = providerOf(narrowed)
    const need = delegatedNeed('ada', [planner, ['crm.contacts.read']])
    expect((await provider.obtain(need, never)).scopes).toEqual(['contacts.read'])
    expect((await provider.obtain(needOf(), never)).scopes).toEqual(['contacts.read', 'contacts.write'])
    expect(provider.partition(need)).not.toBe(provider.partition(needOf()))
  })

  it('refuses without spending the refresh token where no scope is left', async () => {
    const before = await readFile(path, 'utf8')
    const calls = server.tokenCalls
    const refusal = await refusalOf(
      providerOf(narrowed).obtain(delegatedNeed('ada', [planner, ['crm.deals.read']]), never),
    )
    expect(refusal.reason).toBe('scope_not_granted')
    expect(server.tokenCalls).toBe(calls)
    expect(await readFile(path, 'utf8')).toBe(before)
  })

  it('does not lose the grant to a server that grants more than was asked for, and does not use its token', async () => {
    const authority = makeAuthority()
    const posted: string[] = []
    const wide = createServer(makeServerCertificate(authority, ['127.0.0.1']), (request, response) => {
      posted.push(request.url ?? '')
      response.writeHead(200, { 'content-type': 'application/json' })
      const tokens = { access_token: 'wide', refresh_token: 'the-next-one', token_type: 'Bearer' }
      response.end(JSON.stringify({ ...tokens, scope: 'contacts.read contacts.write' }))
    }).listen(0, '127.0.0.1')
    await once(wide, 'listening')
    const origin = `https://127.0.0.1:${(wide.address() as AddressInfo).port}`
    await writeFile(join(folder, 'ca.pem'), authority.pem)
    const provider = providerOf({
      ...narrowed,
      issuer: undefined,
      tokenEndpoint: `${origin}/token`,
      revocationEndpoint: `${origin}/revoke`,
    })
    const refusal = await refusalOf(provider.obtain(delegatedNeed('ada', [planner, ['crm.contacts.read']]), never))
    expect(refusal.detail).toContain('wider_scope')
    expect(await readFile(path, 'utf8')).toBe('the-next-one')
    expect(posted).toEqual(['/token'])
    wide.close()
    await once(wide, 'close')
  })
})
