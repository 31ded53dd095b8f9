// What holds for every kind of credential source.
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { type AddressInfo, createServer, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { inspect } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { CredentialManager } from '../../proxy/obtain/manager.ts'
import type { CredentialProvider } from '../../proxy/obtain/provider.ts'
import { configureCredentials, createProvider } from '../../proxy/obtain/providers.ts'
import { type CredentialSettings, credentialSchema } from '../../proxy/obtain/settings.ts'
import { Secret } from '../../proxy/secret.ts'
import { makeTrustDomain, ownId, surroundingsOf, type TrustDomain } from '../proxy/obtain/surroundings.ts'
import { needOf, never, refusalOf } from '../proxy/obtain/world.ts'
import { type AuthorizationServer, startAuthorizationServer } from '../support/authorization-server.ts'

const crm = 'https://api.crm.example/'
const canary = 'canary-secret-1f9b'

let folder: string
let server: AuthorizationServer
let domain: TrustDomain
let mute: Server

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'postern-contract-'))
  domain = await makeTrustDomain()
  mute = createServer().listen(0, '127.0.0.1')
  await once(mute, 'listening')
  server = await startAuthorizationServer({
    clients: [
      { id: 'client', auth: { method: 'client_secret_basic', secret: canary } },
      { id: 'workload', auth: { method: 'jwt-spiffe', spiffeId: ownId } },
    ],
    resources: { [crm]: { scopes: ['contacts.read'] } },
    spiffe: { trustDomain: 'acme.example', keys: () => domain.keys },
    trusted: [{ issuer: 'spiffe://acme.example', keys: () => domain.keys }],
  })
  await writeFile(join(folder, 'ca.pem'), server.ca)
  await writeFile(join(folder, 'token'), canary)
})
afterAll(async () => {
  await server[Symbol.asyncDispose]()
  mute.close()
  await rm(folder, { recursive: true, force: true })
})

interface Implementation {
  /** Settings with which it works. */
  works(): Promise<unknown>
  /** Settings with which its source refuses, knowing the canary. */
  fails(): unknown
  /** Settings with which its source never answers; undefined where there is none, or no signal may end it. */
  hangs: (() => unknown) | undefined
}

const bound = { for: ['crm'] }
const oauth = () => ({ ...bound, issuer: server.issuer, ca: [join(folder, 'ca.pem')], scopes: ['contacts.read'] })
const client = { id: 'client', auth: 'client_secret_basic', secret: '${env:SECRET}' }
/** A server that takes connections and never says a word. */
const silent = () => ({ ...oauth(), issuer: undefined, tokenEndpoint: `https://127.0.0.1:${portOf(mute)}/token` })

const implementations: Record<CredentialSettings['kind'], Implementation> = {
  env: {
    works: async () => ({ kind: 'env', ...bound, variable: 'SECRET' }),
    fails: () => ({ kind: 'env', ...bound, variable: 'BROKEN' }),
    hangs: undefined,
  },
  file: {
    works: async () => ({ kind: 'file', ...bound, path: join(folder, 'token') }),
    fails: () => ({ kind: 'file', ...bound, path: folder }),
    hangs: undefined,
  },
  exec: {
    works: async () => ({
      kind: 'exec',
      ...bound,
      command: ['echo', JSON.stringify({ secret: canary, expiresIn: 60 })],
    }),
    fails: () => ({ kind: 'exec', ...bound, command: ['sh', '-c', `echo ${canary}; echo ${canary} >&2; exit 1`] }),
    hangs: () => ({ kind: 'exec', ...bound, command: ['sleep', '60'] }),
  },
  'oauth2-client-credentials': {
    works: async () => ({ kind: 'oauth2-client-credentials', ...oauth(), resource: [crm], client }),
    fails: () => ({ kind: 'oauth2-client-credentials', ...oauth(), client: { ...client, id: canary } }),
    hangs: () => ({ kind: 'oauth2-client-credentials', ...silent(), client }),
  },
  'oauth2-token-exchange': {
    works: async () => ({
      kind: 'oauth2-token-exchange',
      ...oauth(),
      resource: [crm],
      client: { auth: 'jwt-spiffe' },
      subject: { from: 'svid' },
    }),
    fails: () => ({
      kind: 'oauth2-token-exchange',
      ...oauth(),
      client,
      subject: { from: 'secret', token: '${env:SECRET}' },
    }),
    hangs: () => ({ kind: 'oauth2-token-exchange', ...silent(), client, subject: { from: 'svid' } }),
  },
  'oauth2-refresh-token': {
    works: async () => {
      const refreshTokenFile = join(folder, 'refresh-token')
      await writeFile(
        refreshTokenFile,
        await server.grantRefreshToken({ client: 'client', account: 'ada', resource: crm, scopes: ['contacts.read'] }),
      )
      return { kind: 'oauth2-refresh-token', ...oauth(), client, refreshTokenFile }
    },
    fails: () => ({ kind: 'oauth2-refresh-token', ...oauth(), client, refreshTokenFile: join(folder, 'token') }),
    // A refresh token that was sent must not be forgotten, so its answer is waited for.
    hangs: undefined,
  },
}

function portOf(of: Server): number {
  return (of.address() as AddressInfo).port
}

function world() {
  return surroundingsOf({
    svids: domain.svids,
    environment: { PATH: process.env.PATH, SECRET: canary, BROKEN: `${canary}\n` },
  })
}

/** What anybody could print of a thing, its secrets among it if it lets them. */
function printed(value: unknown): string {
  const chain: string[] = []
  for (let error = value; error instanceof Error; error = error.cause) chain.push(error.message, error.stack ?? '')
  return [JSON.stringify(value), inspect(value, { depth: 9, showHidden: true }), String(value), ...chain].join('\n')
}

describe.each(Object.entries(implementations))('%s', (kind, { works, fails, hangs }) => {
  const providers: CredentialProvider[] = []
  const make = (settings: unknown): CredentialProvider => {
    const provider = createProvider('crm-token', credentialSchema.parse(settings), world())
    providers.push(provider)
    return provider
  }
  afterAll(() => {
    // Twice: a provider that stays over a reload may be told by more than one.
    for (const provider of [...providers, ...providers]) provider.close?.()
  })

  it('refuses when its source does, with nothing secret in anything that is printed', async () => {
    const refusal = await refusalOf(make(fails()).obtain(needOf(), never))
    expect(['credential_unavailable', 'consent_required']).toContain(refusal.reason)
    expect(refusal.detail).toBeTruthy()
    expect(printed(refusal)).not.toContain(canary)
    expect(printed(refusal.problem('id'))).not.toContain(refusal.detail)
  })

  it.skipIf(hangs === undefined)(
    'stops when its signal does (for sources that take their time and may be left)',
    async () => {
      const stop = new AbortController()
      const waiting = make(hangs?.()).obtain(needOf(), stop.signal)
      setImmediate(() => stop.abort())
      await expect(waiting).rejects.toThrow()
    },
  )

  it('gives a lease in the name of the configuration', async () => {
    const lease = await make(await works()).obtain(needOf(), never)
    expect(lease).toMatchObject({ credential: 'crm-token', kind })
    expect(lease.secret).toBeInstanceOf(Secret)
    expect(lease.secret.name).toBe('crm-token')
    expect(lease.secret.reveal()).not.toBe('')
    if (lease.expiresAt !== undefined) expect(lease.expiresAt).toBeGreaterThan(Date.now())
  })

  it('gives a lease that prints without its secret', async () => {
    const lease = await make(await works()).obtain(needOf(), never)
    expect(printed(lease)).not.toContain(lease.secret.reveal())
  })

  it('prints without a secret itself', async () => {
    const provider = make(await works())
    await provider.obtain(needOf(), never)
    expect(printed(provider)).not.toContain(canary)
  })

  it('tells needs apart in the same way each time', async () => {
    const provider = make(await works())
    expect(provider.kind).toBe(kind)
    // Or what it made could not be taken back after a restart, or be shown to another server.
    expect(provider.revokesAt === undefined).toBe(provider.revoke === undefined)
    expect(provider.partition(needOf())).toBe(provider.partition(needOf()))
  })

  it('is asked once for many, behind the manager', async () => {
    const settings = { 'crm-token': credentialSchema.parse(await works()) }
    const manager = new CredentialManager(configureCredentials(settings, world()), { clock: Date.now })
    const first = await Promise.all(
      Array.from({ length: 20 }, async () => manager.obtain('crm-token', needOf(), never)),
    )
    expect(new Set(first.map(({ secret }) => secret)).size).toBe(1)
    expect(manager.obtain('crm-token', needOf(), never)).toMatchObject({ cache: 'hit' })
    await manager.close()
  })

  it('survives a reload with the same settings, and not one with others', async () => {
    const settings = await works()
    const parse = (more: object) => ({ 'crm-token': credentialSchema.parse({ ...Object(settings), ...more }) })
    const before = configureCredentials(parse({}), world())
    const same = configureCredentials(parse({}), world(), before)
    const other = configureCredentials(parse({ ttl: '1m' }), world(), before)
    expect(same.get('crm-token')).toBe(before.get('crm-token'))
    expect(other.get('crm-token')?.provider).not.toBe(before.get('crm-token')?.provider)
    expect(other.get('crm-token')?.ttl).toBe(60_000)
  })
})
