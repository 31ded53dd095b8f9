// Holes by which a credential, or the way round the proxy, gets into wrong hands.
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gunzipSync, gzipSync } from 'node:zlib'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { agentId, agentsListener, openGate } from '../../support/gate.ts'
import { reasonOf } from '../../support/through.ts'
import { canaries, openWorld, type World } from './world.ts'

/** Places that no destination means, each by a name of its own: private, of the machine, of clouds, and their forms in IPv6. */
const blocked = [
  ...[
    '169.254.169.254',
    '169.254.170.2',
    '169.254.170.23',
    '168.63.129.16',
    '100.100.100.200',
    '192.0.0.192',
    '169.254.0.23',
  ],
  ...[
    'fd00:ec2::254',
    'fd00:ec2::23',
    'fd20:ce::254',
    '10.0.0.1',
    '172.16.0.1',
    '192.168.1.1',
    '100.64.0.1',
    '127.0.0.1',
    '0.0.0.0',
  ],
  ...['::1', '::', '64:ff9b::a9fe:a9fe', '2002:a9fe:a9fe::1', '2001:0:1::1', 'fe80::1', 'fc00::1', '224.0.0.1'],
]
let world: World
let trust: string

beforeAll(async () => {
  trust = await mkdtemp(join(tmpdir(), 'postern-trust-'))
  world = await openWorld({
    more: `trust: { directory: ${trust} }\n`,
    destinations: ({ tls }) => `  anywhere: { hosts: ["*.anywhere.example"], ports: [${tls}] }
  cloud: { hosts: [cloud.example], ports: [${tls}], addresses: [127.0.0.0/8], ca: [ca.pem] }
`,
    names: `${blocked.map((address, at) => `, n${at}.anywhere.example: ["${address}"]`).join('')}, mixed.anywhere.example: [93.184.216.34, 10.0.0.1], cloud.example: [127.0.0.1]`,
    credentials: '  any-key: { kind: env, variable: API_KEY, for: [anywhere, cloud] }\n',
    rules: `  - { name: calls-anywhere, allow: { agents: [${agentId}], to: [anywhere, cloud] }, use: any-key }\n`,
    answer(request, response) {
      const { authorization = '', 'max-forwards': forwards = 'none' } = request.headers
      const body = `you said ${authorization} max-forwards=${forwards} ${Buffer.from(authorization).toString('base64')}`
      if (request.url === '/zipped') response.setHeader('Content-Encoding', 'gzip').end(gzipSync(body))
      else if (request.url === '/odd') response.setHeader('Content-Encoding', 'x-odd').end(body)
      else response.setHeader('X-Said', authorization).end(body)
    },
  })
})
afterAll(async () => {
  await world[Symbol.asyncDispose]()
  await rm(trust, { recursive: true, force: true })
})
afterEach(() => {
  world.seen.length = 0
})

const ask = async (host: string, line: string, ...fields: string[]) => {
  await using client = await world.open(host)
  return await client.request([line, `Host: ${world.authority(host)}`, ...fields])
}

describe('H11: a credential is put into a request in clear', () => {
  it('a host of https is not called in clear, whether the target or the tunnel says so', async () => {
    await using client = await world.plain()
    const absolute = await client.request([`GET http://${world.authority()}/ HTTP/1.1`, `Host: ${world.authority()}`])
    expect(reasonOf(absolute)).toBe('no_rule')
    await using tunnel = await world.plain()
    await tunnel.tunnel(world.authority())
    expect(reasonOf(await tunnel.request(['GET / HTTP/1.1', `Host: ${world.authority()}`]))).toBe('no_rule')
    expect(world.seen).toEqual([])
  })

  it('a credential for a host in clear beyond this machine does not load', async () => {
    const config = `${agentsListener}destinations:
  far: { hosts: [far.example], protocol: http }
credentials:
  key: { kind: env, variable: KEY, for: [far] }
rules:
  - { name: far, allow: { agents: [${agentId}], to: far }, use: key }
`
    await expect(openGate(config, { environment: { KEY: 'canary' } })).rejects.toThrow(
      'http is for hosts on loopback only',
    )
  })
})

describe('H12: a credential is sent to another upstream than its own', () => {
  it('a stand-in for one is refused at the other, in each place, and neither hears of it', async () => {
    const standIn = world.gate.gate.standIns.find(({ variable }) => variable === 'OTHER_KEY')?.value ?? ''
    expect(standIn.length).toBeGreaterThan(20)
    for (const host of ['api.example', 'free.example', 'cloud.example']) {
      for (const request of [
        ['GET / HTTP/1.1', `Authorization: Bearer ${standIn}`],
        [`GET /?key=${standIn} HTTP/1.1`],
        ['GET / HTTP/1.1', `X-Api-Key: ${standIn}`],
        ['GET / HTTP/1.1', `Authorization: Basic ${btoa(`a:${standIn}`)}`],
      ])
        expect(reasonOf(await ask(host, request[0] ?? '', ...request.slice(1)))).toBe('stand_in_misused')
    }
    expect(world.seen).toEqual([])
    expect((await ask('other.example', 'GET / HTTP/1.1', `Authorization: Bearer ${standIn}`)).status).toBe(200)
    expect(world.seen.map(({ headers }) => headers.authorization)).toEqual([`Bearer ${canaries.other}`])
  })

  it('a rule that sends a credential where it is not for does not load', async () => {
    const config = `${agentsListener}destinations:
  one: { hosts: [one.example] }
  two: { hosts: [two.example] }
credentials:
  key: { kind: env, variable: KEY, for: [one] }
rules:
  - { name: both, allow: { agents: [${agentId}], to: [one, two] }, use: key }
`
    await expect(openGate(config, { environment: { KEY: 'canary' } })).rejects.toThrow('which is not for `two`')
  })
})

describe('H13: the answer gives the credential back', () => {
  it('TRACE, which would, is not sent with one', async () => {
    expect(reasonOf(await ask('api.example', 'TRACE / HTTP/1.1', 'Max-Forwards: 0'))).toBe('placement_conflict')
    expect(world.seen).toEqual([])
  })

  it('Max-Forwards, by which a gateway on the way would answer, does not leave', async () => {
    const answer = await ask('api.example', 'OPTIONS / HTTP/1.1', 'Max-Forwards: 0')
    expect(answer.text).toContain('max-forwards=none')
  })

  it.each(['/plain', '/zipped'])('what the upstream says of it is blanked: %s', async (path) => {
    const { body, text, fields, field } = await ask('api.example', `GET ${path} HTTP/1.1`, 'Accept-Encoding: gzip')
    const told = field('content-encoding') === 'gzip' ? gunzipSync(body).toString() : text
    expect(told).toContain('you said')
    for (const form of [canaries.api, btoa(`Bearer ${canaries.api}`)]) {
      expect(told).not.toContain(form)
      expect(fields.join()).not.toContain(form)
    }
  })

  it('a coding that cannot be looked into is refused', async () => {
    expect(reasonOf(await ask('api.example', 'GET /odd HTTP/1.1'))).toBe('response_uninspectable')
  })
})

describe('H16: an address that no destination means is reached by a name', () => {
  it.each(blocked.map((address, at) => [address, `n${at}.anywhere.example`]))('%s is not', async (_address, host) => {
    expect(reasonOf(await ask(host, 'GET / HTTP/1.1'))).toBe('blocked_address')
  })

  it('one address of several is enough to be refused', async () => {
    expect(reasonOf(await ask('mixed.anywhere.example', 'GET / HTTP/1.1'))).toBe('blocked_address')
  })

  it.each(['upstreamProxy: http://10.0.0.1:3128', 'proxy: http://10.0.0.1:3128'])(
    'there is no proxy behind this one, which would be looked at in its place: %s',
    async (key) => {
      await expect(openGate(`${agentsListener}${key}\n`)).rejects.toThrow('unknown key')
    },
  )
})

describe('H17: the key of our authority can be read, or its certificate takes the place of all others', () => {
  it('no file that we leave holds a key, and the authorities of before are among those that we leave', async () => {
    const files = await readdir(world.gate.folder, { recursive: true, withFileTypes: true })
    const left = await readdir(trust, { recursive: true, withFileTypes: true })
    const paths = [...files, ...left]
      .filter((each) => each.isFile())
      .map(({ parentPath, name }) => join(parentPath, name))
    expect(paths.some((path) => path.endsWith('combined.pem'))).toBe(true)
    for (const path of paths) expect(await readFile(path, 'latin1')).not.toMatch(/PRIVATE KEY/)
    const combined = await readFile(join(trust, 'trust', 'combined.pem'), 'utf8')
    expect(combined.match(/BEGIN CERTIFICATE/g)?.length).toBeGreaterThan(20)
    for (const path of paths.filter((each) => each.includes('records'))) expect((await stat(path)).mode & 0o077).toBe(0)
  })
})

describe('H18: what the agent can write is run, or believed', () => {
  it('files that are left for the agent are never read back', async () => {
    const before = world.gate.gate.caPem
    const folder = join(trust, 'trust')
    for (const { name, parentPath } of (await readdir(folder, { recursive: true, withFileTypes: true })).filter(
      (each) => each.isFile(),
    ))
      await writeFile(join(parentPath, name), 'NODE_OPTIONS=--require=/tmp/evil.cjs\n')
    expect((await ask('api.example', 'GET /after HTTP/1.1')).status).toBe(200)
    expect(world.gate.gate.caPem).toBe(before)
    expect(process.env.NODE_OPTIONS ?? '').not.toContain('evil')
  })

  it('they are for others to read and for us alone to write', async () => {
    for (const each of await readdir(trust, { recursive: true }))
      expect([each, (await stat(join(trust, each))).mode & 0o022]).toEqual([each, 0])
  })
})

describe('H20: a request is signed for the region and service that the client chose', () => {
  const signed =
    'AWS4-HMAC-SHA256 Credential=AKIAEXAMPLE/20260101/eu-west-9/iam/aws4_request, SignedHeaders=host, Signature=00'

  it('a signature of the client does not leave, nor does its session token; the credential of the rule takes its place', async () => {
    expect(
      (
        await ask(
          'cloud.example',
          'GET / HTTP/1.1',
          `Authorization: ${signed}`,
          'X-Amz-Security-Token: mine',
          'X_Amz_Security_Token: mine',
        )
      ).status,
    ).toBe(200)
    const [seen] = world.seen
    expect(seen?.headers.authorization).toBe(`Bearer ${canaries.api}`)
    expect(JSON.stringify(seen?.headers)).not.toMatch(/eu-west-9|mine/)
  })

  it('no placement takes anything from what the client signed', async () => {
    const rule = `  - { name: signs, allow: { agents: [${agentId}], to: [] }, use: key, inject: { sigv4: { region: from-client } } }\n`
    await expect(openGate(`${agentsListener}rules:\n${rule}`)).rejects.toThrow('inject')
  })
})
