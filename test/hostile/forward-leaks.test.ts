// A credential reaches its destination and nothing else, whatever the upstream, the agent or a reload does.
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { parseSpiffeId } from '../../certs/spiffe-id.ts'
import { compile } from '../../policy/compile.ts'
import type { Question } from '../../policy/engine.ts'
import { createEngine } from '../../policy/rule-engine.ts'
import { loadConfig } from '../../proxy/config/load.ts'
import { ConfigError } from '../../proxy/config/problems.ts'
import type { Destination } from '../../proxy/exchange.ts'
import { createPlacements } from '../../proxy/inject/catalogue.ts'
import { Refusal } from '../../proxy/refusal.ts'
import { Secret } from '../../proxy/secret.ts'
import { exchange, lease } from '../proxy/inject/exchanges.ts'
import { agentId, agentsListener, openGate, type TestGate } from '../support/gate.ts'
import { reasonOf, through } from '../support/through.ts'
import { type HttpsUpstream, httpsUpstream, httpUpstream, type Upstream } from '../support/upstream.ts'
import { WireClient } from '../support/wire-client.ts'

const canaries = { one: 'canary-one-7d21c9e4', two: 'canary-two-b05f83aa' }

interface Got {
  readonly host: string
  readonly url: string
  readonly authorization: string | undefined
  /** Number of the connection. */
  readonly connection: number
}

let upstream: HttpsUpstream
let clear: Upstream
let gate: TestGate
let got: Got[] = []
let inClear: (string | undefined)[] = []

beforeAll(async () => {
  upstream = await httpsUpstream(
    ['one.example', 'two.example', 'evil.example', '*.wide.example', '*.a.wide.example'],
    (request, response) => {
      const { host = '', authorization } = request.headers
      got.push({ host, url: request.url ?? '', authorization, connection: request.socket.remotePort ?? 0 })
      const [, status, to] = /^\/redirect\/(\d+)\/(.+)$/.exec(request.url ?? '') ?? []
      if (status !== undefined) response.writeHead(Number(status), { Location: decodeURIComponent(to ?? '') })
      response.end('seen')
    },
  )
  clear = await httpUpstream((request, response) => {
    inClear.push(request.headers.authorization)
    response.end('seen')
  })
  gate = await openGate(configuration(), {
    files: { 'ca.pem': upstream.ca },
    environment: { ONE: canaries.one, TWO: canaries.two },
  })
})
afterAll(async () => {
  await gate[Symbol.asyncDispose]()
  await Promise.all([upstream.close(), clear.close()])
})
afterEach(() => {
  got = []
  inClear = []
})

function configuration(oneHost = 'one.example'): string {
  const place = (name: string, hosts: string) =>
    `  ${name}: { hosts: ["${hosts}"], ports: [${upstream.port}], addresses: [127.0.0.0/8], ca: [ca.pem] }\n`
  return `${agentsListener}resolve: { ${['one', 'two', 'evil', 'a.wide', 'b.a.wide', 'wide', 'awide'].map((name) => `${name}.example: [127.0.0.1]`).join(', ')} }
destinations:
${place('one', oneHost)}${place('two', 'two.example')}${place('wide', '*.wide.example')}${place('evil', oneHost === 'evil.example' ? 'one.example' : 'evil.example')}  clear: { hosts: [evil.example], protocol: http, ports: [${clear.port}], addresses: [127.0.0.0/8] }
credentials:
  first: { kind: env, variable: ONE, for: [one, wide] }
  second: { kind: env, variable: TWO, for: [two] }
rules:
  - { name: one, allow: { agents: [${agentId}], to: [one, wide] }, use: first }
  - { name: two, allow: { agents: [${agentId}], to: two }, use: second }
  - { name: rest, allow: { agents: [${agentId}], to: [evil, clear] } }
`
}

const open = (host: string) => through({ port: gate.port(), ca: gate.gate.caPem }, host, upstream.port)

async function get(host: string, path = '/'): Promise<Awaited<ReturnType<WireClient['request']>>> {
  await using client = await open(host)
  return await client.request([`GET ${path} HTTP/1.1`, `Host: ${host}:${upstream.port}`])
}

describe('an upstream that redirects', () => {
  const places = () => [
    `https://evil.example:${upstream.port}/stolen`,
    `http://evil.example:${clear.port}/stolen`,
    `//evil.example:${upstream.port}/stolen`,
    `https://two.example:${upstream.port}/stolen`,
  ]

  it.each([301, 302, 303, 307, 308])(
    'with %d has its answer given to the agent, and nothing is followed',
    async (status) => {
      for (const place of places()) {
        const answer = await get('one.example', `/redirect/${status}/${encodeURIComponent(place)}`)
        expect([answer.status, answer.field('location')]).toEqual([status, place])
      }
      expect(got.map(({ host, url }) => [host, url.split('/')[1]])).toEqual(
        places().map(() => [`one.example:${upstream.port}`, 'redirect']),
      )
      expect(inClear).toEqual([])
    },
  )

  it('is followed by the agent without the credential of the one before', async () => {
    await get('evil.example', '/stolen')
    await get('two.example', '/stolen')
    await using client = await WireClient.open({ host: '127.0.0.1', port: gate.port() })
    await client.request([`GET http://evil.example:${clear.port}/stolen HTTP/1.1`, `Host: evil.example:${clear.port}`])
    expect(got.map(({ authorization }) => authorization)).toEqual([undefined, `Bearer ${canaries.two}`])
    expect(inClear).toEqual([undefined])
  })
})

describe('connections to upstreams', () => {
  it('are never shared between destinations, so that no credential meets the connection of another', async () => {
    await Promise.all(
      Array.from({ length: 30 }, (_, at) => get(['one.example', 'two.example', 'evil.example'][at % 3] ?? '')),
    )
    const hosts = new Map<number, Set<string>>()
    for (const { connection, host, authorization } of got) {
      hosts.set(connection, (hosts.get(connection) ?? new Set()).add(`${host} ${authorization}`))
    }
    expect([...hosts.values()].map(({ size }) => size)).toEqual([...hosts].map(() => 1))
    expect(new Set(got.map(({ host, authorization }) => `${host.split('.')[0]} ${authorization}`))).toEqual(
      new Set([`one Bearer ${canaries.one}`, `two Bearer ${canaries.two}`, 'evil undefined']),
    )
  })

  it.each(['Negotiate', 'NTLM', 'negotiate'])(
    'that were authenticated as a whole, by %s, serve nobody else',
    async (scheme) => {
      const known = new WeakMap<object, string>()
      const server = await httpsUpstream(['bound.example'], ({ socket, headers }, response) => {
        if (headers.authorization !== undefined) known.set(socket, headers.authorization)
        response.end(known.get(socket) ?? 'nobody')
      })
      await using other = await openGate(
        `${agentsListener}resolve: { bound.example: [127.0.0.1] }
destinations:
  bound: { hosts: [bound.example], ports: [${server.port}], addresses: [127.0.0.0/8], ca: [ca.pem] }
rules:
  - { name: bound, allow: { agents: [${agentId}], to: bound }, inject: agent }
`,
        { files: { 'ca.pem': server.ca } },
      )
      const ask = async (...fields: string[]) => {
        await using client = await through({ port: other.port(), ca: other.gate.caPem }, 'bound.example', server.port)
        return (await client.request(['GET / HTTP/1.1', `Host: bound.example:${server.port}`, ...fields])).text
      }
      expect(await ask(`Authorization: ${scheme} YWRh`)).toBe(`${scheme} YWRh`)
      expect(await ask()).toBe('nobody')
      await server.close()
    },
  )

  it('one agent connection, which is for one place, carries no request to another', async () => {
    await using client = await open('one.example')
    const answer = await client.request(['GET / HTTP/1.1', `Host: two.example:${upstream.port}`])
    expect(reasonOf(answer)).toBe('misdirected')
    expect(got).toEqual([])
  })
})

describe('a name that is like the one meant', () => {
  it.each([
    'one.example.',
    'one.example.evil.example',
    'xone.example',
    'one-example',
    'оne.example',
    'xn--ne-emc.example',
    'one。example',
    'ｏｎｅ.example',
    'one.exámple',
    'one.example%00.evil.example',
    'wide.example',
    'awide.example',
    '*.wide.example',
    '.wide.example',
    'evil.wide.example.evil.example',
  ])('%j gets nothing', async (host) => {
    await using client = await WireClient.open({ host: '127.0.0.1', port: gate.port() })
    const answer = await client.tunnel(`${Buffer.from(host).toString('latin1')}:${upstream.port}`)
    expect(answer.status).toBeGreaterThanOrEqual(400)
    expect(reasonOf(answer)).toMatch(/^(no_rule|ambiguous_target|bad_request)$/)
    expect(got).toEqual([])
  })

  it('in upper case is the same, and is written as it is meant', async () => {
    await using client = await WireClient.open({ host: '127.0.0.1', port: gate.port() })
    expect((await client.tunnel(`ONE.Example:${upstream.port}`)).status).toBe(200)
    await client.secure({ ca: gate.gate.caPem, servername: 'one.example' })
    expect((await client.request(['GET / HTTP/1.1', `Host: oNE.example:${upstream.port}`])).status).toBe(200)
    expect(got.map(({ host, authorization }) => [host, authorization])).toEqual([
      [`one.example:${upstream.port}`, `Bearer ${canaries.one}`],
    ])
  })

  it.each(['a.wide.example', 'b.a.wide.example'])('below a wildcard gets what that one is for: %s', async (host) => {
    await get(host)
    expect(got.map(({ authorization }) => authorization)).toEqual([`Bearer ${canaries.one}`])
  })

  it('at another port is another place', async () => {
    for (const port of [443, 80, clear.port, upstream.port + 1]) {
      await using each = await WireClient.open({ host: '127.0.0.1', port: gate.port() })
      expect(reasonOf(await each.tunnel(`one.example:${port}`))).toBe('no_rule')
    }
  })
})

describe('a credential whose destination is pointed elsewhere by a reload', () => {
  async function reload(text: string): Promise<void> {
    const file = join(gate.folder, 'next.yaml')
    await writeFile(file, `version: 1\ntrustDomain: acme.example\nrecords: { to: ./records.jsonl }\n${text}`)
    gate.gate.reload(await loadConfig(file, { ONE: canaries.one, TWO: canaries.two }))
  }
  afterEach(() => reload(configuration()))

  it('does not go on an agent connection of before to what is another place now', async () => {
    await using client = await open('one.example')
    const request = ['GET /kept HTTP/1.1', `Host: one.example:${upstream.port}`]
    expect((await client.request(request)).status).toBe(200)
    // Now `one` means another host, and the host of before belongs to a destination without a credential.
    await reload(configuration('evil.example'))
    expect((await client.request(request)).status).toBe(200)
    expect(got.map(({ authorization }) => authorization)).toEqual([`Bearer ${canaries.one}`, undefined])
    expect(got[0]?.connection).not.toBe(got[1]?.connection)
  })

  it('is refused where the binding is taken away and the rule stays', async () => {
    await expect(reload(configuration().replace('for: [one, wide]', 'for: [wide]'))).rejects.toThrow(ConfigError)
    await get('one.example')
    expect(got.map(({ authorization }) => authorization)).toEqual([`Bearer ${canaries.one}`])
  })
})

describe('what gets a credential is what rules and bindings name, and nothing else', () => {
  const patterns = ['a.example', 'b.example', 'x.b.example', '*.b.example', '*.example', 'localhost']
  const hosts = ['a.example', 'b.example', 'x.b.example', 'y.b.example', 'c.example', 'localhost', 'example']
  const names = ['d0', 'd1', 'd2']
  const keys = ['k0', 'k1']
  const methods = ['GET', 'POST']
  const some = <T>(list: readonly T[]) => fc.subarray([...list], { minLength: 1 })
  const rule = fc.record({
    denies: fc.nat(3).map((chance) => chance === 0),
    mine: fc.nat(3).map((chance) => chance > 0),
    to: some(names),
    methods: some(methods),
    use: fc.option(fc.constantFrom(...keys), { nil: undefined }),
    /** Whether it keeps to what its credential is for; else it must not load. */
    sound: fc.nat(9).map((chance) => chance > 0),
  })
  const written = fc
    .record({
      /** Of each pattern: the destination that has it; 3: none. */
      owners: fc.tuple(...patterns.map(() => fc.nat(3))),
      protocols: fc.tuple(...names.map(() => fc.constantFrom('https', 'https', 'https', 'http'))),
      bound: fc.tuple(some(names), some(names)),
      rules: fc.array(rule, { minLength: 1, maxLength: 5 }),
    })
    .map(({ owners, protocols, bound, rules }) => ({
      bound,
      places: names.map((name, at) => {
        const own = patterns.filter((_, pattern) => owners[pattern] === at)
        return { hosts: own.length === 0 ? [`${name}.none`] : own, protocol: protocols[at] ?? 'https' }
      }),
      rules: rules.map(({ sound, ...each }) => {
        const bindings = each.use === undefined || each.denies ? undefined : bound[keys.indexOf(each.use)]
        const to = sound && bindings !== undefined ? each.to.filter((name) => bindings.includes(name)) : each.to
        return to.length === 0 ? { ...each, use: undefined } : { ...each, to }
      }),
    }))
  type Written = typeof written extends fc.Arbitrary<infer T> ? T : never

  function asText({ places, bound, rules }: Written): string {
    return JSON.stringify({
      version: 1,
      trustDomain: 'acme.example',
      destinations: Object.fromEntries(places.map((each, at) => [`d${at}`, { ...each, ports: [443] }])),
      credentials: Object.fromEntries(bound.map((to, at) => [`k${at}`, { kind: 'env', variable: 'KEY', for: to }])),
      rules: rules.map(({ denies, mine, to, methods: verbs, use }) => {
        const match = { agents: [mine ? agentId : 'spiffe://acme.example/other'], to, methods: verbs }
        return denies ? { deny: match } : { allow: match, ...(use === undefined ? {} : { use }) }
      }),
    })
  }

  /** Read from what is written, without the code that is tried. */
  const meant = ({ places, bound, rules }: Written, host: string, scheme: string, method: string, key: string) => {
    const names = places.flatMap((each, at) =>
      each.protocol === scheme &&
      each.hosts.some((one) => one === host || (one.startsWith('*.') && host.endsWith(one.slice(1))))
        ? [`d${at}`]
        : [],
    )
    const matching = rules.filter(
      (each) => each.mine && each.methods.includes(method) && each.to.some((name) => names.includes(name)),
    )
    if (matching.some(({ denies }) => denies)) return false
    if (scheme === 'http' && host !== 'localhost') return false
    return matching.some(
      ({ use, to }) =>
        use === key && to.some((name) => names.includes(name) && bound[keys.indexOf(key)]?.includes(name)),
    )
  }

  it('in every configuration that loads, for every rule and place', { timeout: 60_000 }, async () => {
    const file = join(gate.folder, 'random.yaml')
    let loaded = 0
    let injected = 0
    await fc.assert(
      fc.asyncProperty(written, async (made) => {
        await writeFile(file, asText(made))
        const config = await loadConfig(file, { KEY: 'secret' }).catch((error) => {
          if (error instanceof ConfigError) return undefined
          throw error
        })
        if (config === undefined) return
        loaded += 1
        const { rules, destinations, credentials } = config
        const engine = createEngine(compile({ rules, destinations: Object.values(destinations) }))
        const placements = createPlacements({ rules, credentials, standInKey: Buffer.alloc(32), fingerprint: () => '' })
        const into = (
          of: string,
          key: string,
          destination: Destination,
          host: string,
          scheme: 'http' | 'https',
          method: string,
        ) => {
          const given = exchange({
            method,
            target: { host, scheme, path: '/' },
            destination,
            lease: lease({ credential: key, secret: new Secret(key, 'secret-of-enough-length') }),
          })
          try {
            return placements.for(of).apply({ ...given, grant: { ...given.grant, rule: of } }).emitted.length > 0
          } catch (error) {
            if (error instanceof Refusal) return false
            throw error
          }
        }
        for (const host of hosts)
          for (const scheme of ['https', 'http'] as const)
            for (const method of methods) {
              const decision = engine.review(question(host, scheme, method))
              const destination = decision.verdict === 'allow' ? destinations[decision.destination] : undefined
              if (decision.verdict !== 'allow' || destination === undefined || decision.credential === undefined)
                continue
              if (!into(decision.rule, decision.credential, destination, host, scheme, method)) continue
              injected += 1
              expect([host, scheme, method, meant(made, host, scheme, method, decision.credential)]).toEqual([
                host,
                scheme,
                method,
                true,
              ])
            }
        // Whatever a decision says: no rule puts a credential into a request to a place that this is not for.
        for (const { name, use } of rules)
          for (const destination of Object.values(destinations))
            for (const key of keys) {
              if (use === undefined || !into(name, key, destination, 'a.example', 'https', 'GET')) continue
              expect([key, destination.name, credentials[key]?.for.includes(destination.name)]).toEqual([
                key,
                destination.name,
                true,
              ])
            }
      }),
      { numRuns: 1_500 },
    )
    process.stdout.write(
      `${loaded} configurations loaded, ${injected} requests with a credential, each where it was meant\n`,
    )
    expect(loaded).toBeGreaterThan(50)
    expect(injected).toBeGreaterThan(50)
  })
})

const question = (host: string, scheme: 'http' | 'https', method: string): Question => ({
  now: 0,
  caller: { id: parseSpiffeId(agentId), proofs: ['kernel'] },
  principal: { kind: 'agent', id: agentId },
  chain: { depth: 0, agents: [agentId], scopes: [[]] },
  request: { method, scheme, host, port: 443, path: '/', query: '', headers: [] },
})
