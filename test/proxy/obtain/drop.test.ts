// Those who are stopped: nothing that was made for them is handed out again, and all of it is taken back at its source.
import { existsSync } from 'node:fs'
import { chmod, mkdtemp, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { inspect } from 'node:util'
import fc from 'fast-check'
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest'
import { parseSpiffeId } from '../../../certs/spiffe-id.ts'
import { StopList } from '../../../policy/stop/list.ts'
import type { Stopped } from '../../../policy/stop/stop.ts'
import { CredentialManager, type ManagerOptions, type RevocationEvent } from '../../../proxy/obtain/manager.ts'
import type { Lease, Need } from '../../../proxy/obtain/provider.ts'
import { configureCredentials } from '../../../proxy/obtain/providers.ts'
import { RevocationFile } from '../../../proxy/obtain/revocation-file.ts'
import { mostRevocations, Revocations } from '../../../proxy/obtain/revocations.ts'
import { credentialSchema } from '../../../proxy/obtain/settings.ts'
import { Refusal } from '../../../proxy/refusal.ts'
import { Secret } from '../../../proxy/secret.ts'
import { startAuthorizationServer } from '../../support/authorization-server.ts'
import { surroundingsOf } from './surroundings.ts'
import { CountingProvider, delegatedNeed, gate, HandClock, needOf, never, refusalOf } from './world.ts'

const planner = 'spiffe://acme.example/ns/agents/sa/planner'
const researcher = 'spiffe://acme.example/ns/agents/sa/researcher'
const clerk = 'spiffe://acme.example/ns/desk/sa/clerk'

let folder: string
let file: string
const managers: CredentialManager[] = []
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'postern-drop-'))
})
afterEach(async () => {
  await Promise.all(managers.splice(0).map((manager) => manager.close()))
})
afterAll(() => rm(folder, { recursive: true, force: true }))

let files = 0
function newFile(): string {
  files += 1
  file = join(folder, `revocations-${files}.json`)
  return file
}

/** Leases for each chain apart. */
class ChainProvider extends CountingProvider {
  override partition(need: Need): string {
    if (need.chain.hops.length === 0) return this.byCaller ? need.caller.id : ''
    return JSON.stringify([need.principal.id, need.caller.id, need.chain.hops.map(({ id }) => id)])
  }
}

function set(options: Partial<ManagerOptions> = {}, provider = new ChainProvider(new HandClock())) {
  const events: RevocationEvent['result'][] = []
  const problems: string[] = []
  const manager = new CredentialManager(
    new Map([['counted', { provider, ttl: undefined, destinations: ['crm', 'billing'] }]]),
    {
      clock: provider.clock.read,
      random: () => 1,
      onRevocation: ({ result }) => events.push(result),
      onProblem: ({ message }) => problems.push(message),
      revokeTimeout: 200,
      ...options,
    },
  )
  managers.push(manager)
  const obtain = async (need: Need): Promise<Lease> => manager.obtain('counted', need, never)
  const drop = (what: Stopped) => {
    const stops = new StopList()
    const now = provider.clock.now
    stops.add({ id: '1', what, reason: 'test', at: now, by: 'test' }, now)
    return manager.drop((subject) => stops.find(subject, now) !== undefined)
  }
  return { provider, clock: provider.clock, manager, events, problems, obtain, drop }
}

const value = (lease: Lease): string => lease.secret.reveal()
const ada = delegatedNeed('ada', [planner, []], [researcher, []])
const bob = delegatedNeed('bob', [planner, []], [clerk, []])

describe('a stop ends', () => {
  const stops: [string, Stopped, readonly string[]][] = [
    ['an agent at the end of a chain', { kind: 'agent', id: researcher }, ['value-1']],
    ['an agent anywhere in a chain', { kind: 'agent', id: planner }, ['value-1', 'value-2']],
    ['a subtree of agents', { kind: 'agent', id: 'spiffe://acme.example/ns/desk/*' }, ['value-2']],
    ['a user', { kind: 'user', id: 'ada' }, ['value-1']],
    ['a transaction', { kind: 'txn', id: 'txn of bob' }, ['value-2']],
    ['a delegation, by any of its hops', { kind: 'delegation', jti: 'ada-0' }, ['value-1']],
    ['a credential', { kind: 'credential', name: 'counted' }, ['value-1', 'value-2', 'value-3']],
    [
      'a destination that it may be sent to',
      { kind: 'destination', name: 'billing' },
      ['value-1', 'value-2', 'value-3'],
    ],
    ['everything', { kind: 'all' }, ['value-1', 'value-2', 'value-3']],
    ['nobody, for another agent', { kind: 'agent', id: 'spiffe://acme.example/other' }, []],
    ['nobody, for another credential', { kind: 'credential', name: 'other' }, []],
    ['nobody, for the caller of what serves all', { kind: 'agent', id: 'spiffe://acme.example/alone' }, []],
  ]
  it.each(stops)('%s', async (_, what, ended) => {
    const { provider, obtain, drop } = set()
    const alone = needOf('spiffe://acme.example/alone')
    for (const need of [ada, bob, alone]) await obtain(need)
    expect(drop(what)).toMatchObject({ leases: ended.length, tokens: ended.length })
    await vi.waitFor(() => expect(provider.revoked.toSorted()).toEqual(ended))
    const after = await Promise.all([ada, bob, alone].map(obtain))
    for (const [index, lease] of after.entries()) {
      const before = `value-${index + 1}`
      expect(value(lease) === before).toBe(!ended.includes(before))
    }
  })

  it('also what was made before the lease that is in the cache now', async () => {
    const { provider, clock, obtain, drop } = set()
    await obtain(ada)
    clock.forward(50_000)
    await obtain(ada)
    await vi.waitFor(async () => expect(value(await obtain(ada))).toBe('value-2'))
    drop({ kind: 'user', id: 'ada' })
    await vi.waitFor(() => expect(provider.revoked).toEqual(['value-1', 'value-2']))
  })

  it('nothing that has expired anyway', async () => {
    const { provider, clock, obtain, drop } = set()
    await obtain(ada)
    clock.forward(60_000)
    expect(drop({ kind: 'all' })).toMatchObject({ tokens: 0 })
    expect(provider.revokeAttempts).toBe(0)
  })
})

describe('what is being made when the stop comes', () => {
  it('is refused to all who wait for it when it is there, and taken back', async () => {
    const { provider, manager, obtain, drop } = set()
    const { closed, open } = gate()
    provider.gate = closed
    const waiting = [obtain(ada), obtain(ada)].map(refusalOf)
    expect(drop({ kind: 'user', id: 'ada' })).toMatchObject({ leases: 1, tokens: 0 })
    open()
    for (const refusal of await Promise.all(waiting)) {
      expect(refusal.reason).toBe('credential_unavailable')
      expect(refusal.detail).toBe('what it was for was stopped while it was made')
    }
    await vi.waitFor(() => expect(provider.revoked).toEqual(['value-1']))
    await vi.waitFor(() => expect(manager.pendingRevocations).toBe(0))
    // Where the stop is lifted, it is made anew.
    expect(value(await obtain(ada))).toBe('value-2')
  })

  it('is refused too when it would have replaced a lease that holds', async () => {
    const { provider, clock, obtain, drop } = set()
    await obtain(ada)
    clock.forward(50_000)
    const { closed, open } = gate()
    provider.gate = closed
    expect(value(await obtain(ada))).toBe('value-1')
    drop({ kind: 'user', id: 'ada' })
    open()
    await vi.waitFor(() => expect(provider.revoked.toSorted()).toEqual(['value-1', 'value-2']))
  })

  it('goes on for others', async () => {
    const { provider, obtain, drop } = set()
    const { closed, open } = gate()
    provider.gate = closed
    const waiting = obtain(bob)
    drop({ kind: 'user', id: 'ada' })
    open()
    expect(value(await waiting)).toBe('value-1')
    expect(provider.revoked).toEqual([])
  })

  it('is refused although its place was taken by others', async () => {
    const { provider, obtain, drop } = set({ capacity: 1 })
    const { closed, open } = gate()
    provider.gate = closed
    const waiting = refusalOf(obtain(ada))
    const other = obtain(bob)
    drop({ kind: 'user', id: 'ada' })
    open()
    expect((await waiting).detail).toContain('stopped while it was made')
    await other
  })

  it('is not begun for a request that was cut already', async () => {
    const { provider, manager } = set()
    const cut = AbortSignal.abort(new Refusal('shutting_down'))
    expect((await refusalOf(manager.obtain('counted', ada, cut))).reason).toBe('shutting_down')
    expect(provider.calls).toBe(0)
  })
})

describe('a token that could not be taken back', () => {
  it('is tried again, more and more rarely, and no sooner than the server wants', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    try {
      const { provider, clock, events, obtain, drop } = set()
      provider.life = undefined
      await obtain(ada)
      provider.revokeFailure = new Refusal('credential_unavailable', { retryAfter: 5 })
      drop({ kind: 'all' })
      await vi.waitFor(() => expect(events).toEqual(['failed']))
      const pass = async (milliseconds: number) => {
        clock.forward(milliseconds)
        await vi.advanceTimersByTimeAsync(milliseconds)
      }
      await pass(4_999)
      expect(provider.revokeAttempts).toBe(1)
      await pass(1)
      expect(provider.revokeAttempts).toBe(2)
      provider.revokeFailure = new Error('gone')
      await pass(5_000)
      expect(provider.revokeAttempts).toBe(3)
      await pass(3_999)
      expect(provider.revokeAttempts).toBe(3)
      provider.revokeFailure = undefined
      await pass(1)
      expect(events).toEqual(['failed', 'failed', 'failed', 'revoked'])
    } finally {
      vi.useRealTimers()
    }
  })

  it('is left alone when it has expired', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    try {
      const { provider, clock, events, manager, obtain, drop } = set()
      await obtain(ada)
      provider.revokeFailure = new Error('gone')
      drop({ kind: 'all' })
      await vi.waitFor(() => expect(events).toEqual(['failed']))
      clock.forward(60_000)
      await vi.advanceTimersByTimeAsync(60_000)
      expect(events).toEqual(['failed', 'abandoned'])
      expect(manager.pendingRevocations).toBe(0)
    } finally {
      vi.useRealTimers()
    }
  })

  it('is one of so many at most; those that would expire first give way', async () => {
    const events: RevocationEvent['result'][] = []
    const revocations = new Revocations({
      clock: () => 0,
      random: () => 1,
      revoke: () => Promise.reject(new Error('gone')),
      onEvent: ({ result }) => events.push(result),
      file: undefined,
      patience: 1_000,
    })
    const token = new Secret('token', 'value')
    await revocations.add(
      Array.from({ length: mostRevocations + 3 }, (_, index) => ({
        credential: 'c',
        server: 's',
        token,
        until: index + 1,
      })),
    )
    expect(revocations.pending).toBe(mostRevocations)
    expect(events.filter((result) => result === 'abandoned')).toHaveLength(3)
    await revocations.close(AbortSignal.abort())
  })
})

describe('over a restart', () => {
  it('what is not taken back yet is kept, readable by its owner alone, and gone when it is done', async () => {
    const first = set({ revocationFile: newFile() })
    await first.obtain(ada)
    first.provider.revokeFailure = new Error('gone')
    await first.drop({ kind: 'all' }).kept
    expect((await stat(file)).mode & 0o777).toBe(0o600)
    await first.manager.close()
    expect(existsSync(file)).toBe(true)

    const second = set({ revocationFile: file })
    await vi.waitFor(() => expect(second.events).toEqual(['revoked']))
    expect(second.provider.revoked).toEqual(['value-1'])
    await vi.waitFor(() => expect(existsSync(file)).toBe(false))
  })

  it('it is kept as soon as `kept` says so, whatever becomes of the process then', async () => {
    const { provider, obtain, drop } = set({ revocationFile: newFile() })
    await obtain(ada)
    provider.revokeFailure = new Error('gone')
    await drop({ kind: 'all' }).kept
    expect(JSON.parse(await readFile(file, 'utf8'))).toEqual({
      version: 1,
      tokens: [{ credential: 'counted', server: 'https://login.example', token: 'value-1', until: expect.any(Number) }],
    })
  })

  it('nothing of it is lost to what is stopped just after the start', async () => {
    const first = set({ revocationFile: newFile() })
    await first.obtain(ada)
    first.provider.revokeFailure = new Error('gone')
    await first.drop({ kind: 'all' }).kept
    await first.manager.close()

    const second = set({ revocationFile: file })
    second.provider.revokeFailure = new Error('gone')
    second.provider.constant = 'another'
    await Promise.all([second.obtain(bob)])
    await second.drop({ kind: 'all' }).kept
    const { tokens } = JSON.parse(await readFile(file, 'utf8'))
    expect(tokens.map(({ token }: { token: string }) => token).toSorted()).toEqual(['another', 'value-1'])
  })

  it('no other server than the one that gave it is ever shown it', async () => {
    const first = set({ revocationFile: newFile() })
    await first.obtain(ada)
    first.provider.revokeFailure = new Error('gone')
    await first.drop({ kind: 'all' }).kept
    await first.manager.close()
    const provider = new ChainProvider(new HandClock())
    provider.revokesAt = 'https://other.example'
    const second = set({ revocationFile: file }, provider)
    await vi.waitFor(() => expect(second.events).toEqual(['failed']))
    expect(provider.revokeAttempts).toBe(0)
  })

  it.each([
    ['cut in the middle', '{"version":1,"tokens":[{"credential":"co'],
    ['of another form', '{"version":2,"tokens":[]}'],
    ['with a token that is none', '{"version":1,"tokens":[{"credential":"a","server":"b","token":7,"until":1}]}'],
  ])('a file %s is told of without a word of it, and hinders nothing', async (_, text) => {
    await writeFile(newFile(), text, { mode: 0o600 })
    const { problems, obtain } = set({ revocationFile: file })
    await vi.waitFor(() => expect(problems).toEqual([`${file} cannot be read: it is not what was written here`]))
    await obtain(ada)
  })

  it('a file that others could write or read, or a link, is not believed', async () => {
    const text =
      '{"version":1,"tokens":[{"credential":"counted","server":"https://login.example","token":"t","until":9e15}]}'
    await writeFile(newFile(), text)
    await chmod(file, 0o644)
    const open = set({ revocationFile: file })
    await vi.waitFor(() => expect(open.problems).toHaveLength(1))
    await chmod(file, 0o600)
    const link = newFile()
    await symlink(join(folder, `revocations-${files - 1}.json`), link)
    const linked = set({ revocationFile: link })
    await vi.waitFor(() => expect(linked.problems).toEqual([`${link} cannot be read: ELOOP`]))
    expect([open.provider.revokeAttempts, linked.provider.revokeAttempts]).toEqual([0, 0])
  })

  it('a folder that cannot be written to is told of; the tokens are taken back all the same', async () => {
    const { provider, problems, obtain, drop } = set({ revocationFile: join(folder, 'none', 'file') })
    await obtain(ada)
    const { closed, open } = gate()
    provider.revokeGate = closed
    await drop({ kind: 'all' }).kept
    expect(problems).toEqual([`${join(folder, 'none', 'file')} cannot be written: ENOENT`])
    open()
    await vi.waitFor(() => expect(provider.revoked).toEqual(['value-1']))
  })

  it('whatever the file holds is read, or refused, and nothing secret is printed', async () => {
    const path = newFile()
    const token = fc.record({ credential: fc.string(), server: fc.string(), token: fc.string(), until: fc.integer() })
    const content = fc.oneof(fc.record({ version: fc.constant(1), tokens: fc.array(token) }), fc.jsonValue())
    await fc.assert(
      fc.asyncProperty(content, async (json) => {
        await writeFile(path, JSON.stringify(json), { mode: 0o600 })
        const problems: Error[] = []
        const read = await new RevocationFile({ path, onProblem: (problem) => problems.push(problem) }).read()
        expect(read.length === 0 || problems.length === 0).toBe(true)
        for (const each of read) expect(inspect(each.token)).toBe(`[secret ${each.credential}]`)
      }),
      { numRuns: 200 },
    )
  })
})

it('takes tokens back at a real server, also at one that was overloaded first', async () => {
  let status: number | undefined = 503
  await using server = await startAuthorizationServer({
    clients: [{ id: 'client', auth: { method: 'client_secret_basic', secret: 'secret-of-the-client' } }],
    resources: { 'https://crm.example/': { scopes: ['contacts.read'], format: 'opaque' } },
    defaultResource: 'https://crm.example/',
    revocationStatus: () => status,
  })
  const ca = join(folder, 'ca.pem')
  await writeFile(ca, server.ca)
  const settings = credentialSchema.parse({
    kind: 'oauth2-client-credentials',
    for: ['crm'],
    issuer: server.issuer,
    ca: [ca],
    client: { auth: 'client_secret_basic', id: 'client', secret: '${env:SECRET}' },
    scopes: ['contacts.read'],
    delegated: {},
  })
  const events: RevocationEvent['result'][] = []
  const manager = new CredentialManager(
    configureCredentials({ token: settings }, surroundingsOf({ environment: { SECRET: 'secret-of-the-client' } })),
    { clock: Date.now, random: () => 0, onRevocation: ({ result }) => events.push(result) },
  )
  managers.push(manager)
  const need = (user: string) => delegatedNeed(user, [planner, ['contacts.read']])
  const [mine, other] = await Promise.all(
    ['ada', 'bob'].map(async (user) => value(await manager.obtain('token', need(user), never))),
  )
  expect(manager.drop(({ principal }) => principal.id === 'ada')).toMatchObject({ leases: 1, tokens: 1 })
  await vi.waitFor(() => expect(events).toEqual(['failed']))
  expect(server.knows(mine ?? '')).toBe(true)
  status = undefined
  await vi.waitFor(() => expect(events).toEqual(['failed', 'revoked']), 5_000)
  expect(server.knows(mine ?? '')).toBe(false)
  expect(server.knows(other ?? '')).toBe(true)
})

it('asks a real server once that cannot take its tokens back', async () => {
  await using server = await startAuthorizationServer({
    clients: [{ id: 'client', auth: { method: 'client_secret_basic', secret: 'secret-of-the-client' } }],
    resources: { 'https://crm.example/': { scopes: ['contacts.read'], format: 'jwt' } },
    defaultResource: 'https://crm.example/',
  })
  const ca = join(folder, 'ca.pem')
  await writeFile(ca, server.ca)
  const settings = credentialSchema.parse({
    kind: 'oauth2-client-credentials',
    for: ['crm'],
    issuer: server.issuer,
    ca: [ca],
    client: { auth: 'client_secret_basic', id: 'client', secret: '${env:SECRET}' },
    scopes: ['contacts.read'],
    delegated: {},
  })
  const events: RevocationEvent['result'][] = []
  const manager = new CredentialManager(
    configureCredentials({ token: settings }, surroundingsOf({ environment: { SECRET: 'secret-of-the-client' } })),
    { clock: Date.now, random: () => 0, onRevocation: ({ result }) => events.push(result) },
  )
  managers.push(manager)
  await manager.obtain('token', delegatedNeed('ada', [planner, ['contacts.read']]), new AbortController().signal)
  expect(manager.drop(() => true).tokens).toBe(1)
  await vi.waitFor(() => expect(events).toEqual(['abandoned']), 5_000)
  expect(manager.pendingRevocations).toBe(0)
})

it('a thousand leases are looked through in a moment', async () => {
  const { obtain, manager } = set()
  for (let index = 0; index < 1_000; index += 1)
    await obtain(delegatedNeed(`user-${index}`, [planner, []], [researcher, []]))
  const id = parseSpiffeId(clerk)
  const startedAt = performance.now()
  expect(manager.drop(({ agents }) => agents.includes(id)).leases).toBe(0)
  expect(performance.now() - startedAt).toBeLessThan(200)
})
