// More wait for the leases of one credential than may, at a token server that is slow.
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import type { ServerResponse } from 'node:http'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { mostWaiting } from '../../../proxy/obtain/lease-cache.ts'
import { type CredentialEvent, CredentialManager } from '../../../proxy/obtain/manager.ts'
import { createProvider } from '../../../proxy/obtain/providers.ts'
import { credentialSchema } from '../../../proxy/obtain/settings.ts'
import { makeAuthority, makeServerCertificate } from '../../support/pki.ts'
import { surroundingsOf } from './surroundings.ts'
import { CountingProvider, HandClock, needOf, never, refusalOf } from './world.ts'

it('are turned away at once, and those who wait have their lease', async () => {
  const authority = makeAuthority()
  const folder = await mkdtemp(join(tmpdir(), 'postern-crowd-'))
  const caFile = join(folder, 'ca.pem')
  await writeFile(caFile, authority.pem)
  // Answers when it is told to.
  const held: ServerResponse[] = []
  const server = createServer(makeServerCertificate(authority, ['127.0.0.1']), (request, response) => {
    request.resume()
    held.push(response)
    server.emit('asked')
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const provider = createProvider(
    'crm-token',
    credentialSchema.parse({
      kind: 'oauth2-client-credentials',
      for: ['crm'],
      tokenEndpoint: `https://127.0.0.1:${(server.address() as AddressInfo).port}/token`,
      client: { id: 'postern', auth: 'client_secret_post', secret: '${env:CLIENT_SECRET}' },
      ca: [caFile],
    }),
    surroundingsOf({ environment: { CLIENT_SECRET: 'secret' } }),
  )
  const other = new CountingProvider(new HandClock())
  other.life = undefined
  const events: CredentialEvent[] = []
  const manager = new CredentialManager(
    new Map([
      ['crm-token', { provider, ttl: undefined }],
      ['other', { provider: other, ttl: undefined }],
    ]),
    { clock: Date.now, onEvent: (event) => events.push(event) },
  )
  const obtain = async (signal = never) => manager.obtain('crm-token', needOf(), signal)
  try {
    const asked = once(server, 'asked')
    const leaving = new AbortController()
    const left = refusalOf(obtain(leaving.signal))
    const waiting = Array.from({ length: mostWaiting - 1 }, () => obtain())
    // What fails before they are waited for is told once.
    for (const each of waiting) each.catch(() => {})
    await asked

    const refusal = await refusalOf(obtain())
    expect([refusal.reason, refusal.detail, refusal.retryAfter]).toEqual([
      'credential_unavailable',
      'too many wait for this credential',
      1,
    ])
    expect(events.at(-1)).toEqual({ credential: 'crm-token', provider: provider.kind, result: 'crowded' })
    // Those of another credential are not concerned.
    expect((await manager.obtain('other', needOf(), never)).credential).toBe('counted')

    // Whoever leaves makes room for one, and for no more.
    leaving.abort()
    expect((await left).reason).toBe('client_gone')
    waiting.push(obtain())
    expect((await refusalOf(obtain())).detail).toBe('too many wait for this credential')

    expect(held).toHaveLength(1)
    held[0]
      ?.writeHead(200, { 'content-type': 'application/json' })
      .end(JSON.stringify({ access_token: 'access-1', token_type: 'Bearer', expires_in: 300 }))
    const secrets = new Set((await Promise.all(waiting)).map(({ secret }) => secret.reveal()))
    expect([...secrets]).toEqual(['access-1'])
    expect((await obtain()).cache).toBe('hit')
    expect(held).toHaveLength(1)
  } finally {
    await manager.close()
    server.closeAllConnections()
    server.close()
    await rm(folder, { recursive: true, force: true })
  }
})
