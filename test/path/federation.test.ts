// Callers of two other trust domains through the HTTPS listener: one domain is withdrawn at runtime, the other does not notice.
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { connect, type TLSSocket } from 'node:tls'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { certificatePem } from '../../certs/pem.ts'
import { loadConfig } from '../../proxy/config/load.ts'
import { openGate, type TestGate } from '../support/gate.ts'
import { type Authority, keyPem, makeAuthority, makeSvid } from '../support/pki.ts'
import { type HttpsUpstream, httpsUpstream, httpUpstream, type Upstream } from '../support/upstream.ts'

/** Another organisation: its authority, and the endpoint where it shows its bundle. */
interface Domain {
  readonly name: string
  readonly authority: Authority
  readonly endpoint: HttpsUpstream
  roots: readonly Authority[]
  sequence: number
}

let upstream: Upstream
let b: Domain
let c: Domain
let gate: TestGate
let open: Caller[]

/** A caller on one connection that it keeps. */
class Caller {
  readonly #socket: TLSSocket
  #text = ''

  private constructor(socket: TLSSocket) {
    this.#socket = socket
    socket.setEncoding('utf8')
    socket.on('data', (text: string) => {
      this.#text += text
    })
    socket.on('error', () => {})
  }

  static async of({ name, authority }: Domain): Promise<Caller> {
    const { chain, key } = makeSvid(authority, `spiffe://${name}/agent`)
    const socket = connect({
      host: '127.0.0.1',
      port: gate.port('mesh'),
      // Whom the callers trust is not what this is about.
      rejectUnauthorized: false,
      cert: chain.map(certificatePem).join(''),
      key: keyPem(key),
    })
    const caller = new Caller(socket)
    open.push(caller)
    await once(socket, 'secureConnect')
    return caller
  }

  /** The answer to one request: what the upstream says, or the reason of refusal. */
  async ask(): Promise<string> {
    this.#text = ''
    const host = `localhost:${upstream.port}`
    this.#socket.write(`GET http://${host}/ HTTP/1.1\r\nhost: ${host}\r\n\r\n`)
    return vi.waitFor(() => {
      const found = /"reason":"(\w+)"|\r\n\r\n(contacts)/.exec(this.#text)
      if (found === null) throw new Error(`no answer yet: ${this.#text}`)
      return found[1] ?? found[2] ?? ''
    }, 5_000)
  }

  /** Asks for what never ends; resolves when it has begun. */
  async stream(): Promise<void> {
    this.#text = ''
    const host = `localhost:${upstream.port}`
    this.#socket.write(`GET http://${host}/stream HTTP/1.1\r\nhost: ${host}\r\n\r\n`)
    await vi.waitFor(() => expect(this.#text).toContain('begun'), 5_000)
  }

  get isOpen(): boolean {
    return !this.#socket.destroyed && !this.#socket.readableEnded
  }

  end(): void {
    this.#socket.destroy()
  }
}

async function domain(name: string): Promise<Domain> {
  const authority = makeAuthority({ uri: `spiffe://${name}` })
  const endpoint = await httpsUpstream(['localhost'], (_, response) => {
    const keys = made.roots.map(({ certificate }) => ({
      kty: 'EC',
      use: 'x509-svid',
      x5c: [Buffer.from(certificate).toString('base64')],
    }))
    response.end(JSON.stringify({ keys, spiffe_sequence: made.sequence, spiffe_refresh_hint: 1 }))
  })
  const made: Domain = { name, authority, endpoint, roots: [authority], sequence: 1 }
  return made
}

function configuration(domains: readonly Domain[]): string {
  const federation = domains.map(
    ({ name, endpoint }) =>
      `  ${name}: { source: https_web, url: "https://localhost:${endpoint.port}/", ca: [${name}.pem], addresses: [127.0.0.0/8] }\n`,
  )
  return `identity: { source: embedded }
federation: ${federation.length === 0 ? '{}' : ''}
${federation.join('')}
resolve: { localhost: [127.0.0.1] }
listen:
  - { name: mesh, address: "127.0.0.1:0", accept: https-proxy, callers: [x509-svid] }
admin: { metrics: "127.0.0.1:0" }
destinations:
  crm: { hosts: [localhost], protocol: http, ports: [${upstream.port}], addresses: [127.0.0.0/8] }
rules:
  - { name: partners-read, allow: { agents: ["spiffe://b.example/*", "spiffe://c.example/*", "spiffe://d.example/*"], to: crm, methods: [GET] } }
`
}

beforeEach(async () => {
  open = []
  upstream = await httpUpstream((request, response) => {
    if (request.url === '/stream') response.write('begun')
    else response.end('contacts')
  })
  b = await domain('b.example')
  c = await domain('c.example')
  const files = { 'b.example.pem': b.endpoint.ca, 'c.example.pem': c.endpoint.ca }
  gate = await openGate(configuration([b, c]), { files })
})

afterEach(async () => {
  for (const caller of open) caller.end()
  await gate[Symbol.asyncDispose]()
  await Promise.all([upstream.close(), b.endpoint.close(), c.endpoint.close()])
})

/** Takes another configuration into use, as a reload does. */
async function reload(domains: readonly Domain[]): Promise<void> {
  const file = join(gate.folder, 'next.yaml')
  await writeFile(file, `version: 1\ntrustDomain: acme.example\n${configuration(domains)}`)
  gate.gate.reload(await loadConfig(file, {}))
}

async function metrics(): Promise<string> {
  return (await fetch(`http://127.0.0.1:${gate.gate.metricsPort}/metrics`)).text()
}

describe('of two federated trust domains', () => {
  test('callers of both are let in, each by its own bundle; nobody signs for the other', async () => {
    expect([await (await Caller.of(b)).ask(), await (await Caller.of(c)).ask()]).toEqual(['contacts', 'contacts'])
    const forged = await Caller.of({ ...c, authority: b.authority })
    expect(await forged.ask()).toBe('svid_no_path_to_root')
    const stranger = await Caller.of({ ...b, name: 'd.example' })
    expect(await stranger.ask()).toBe('svid_untrusted_domain')
  })

  test('one whose endpoint shows an empty bundle is refused within the interval, on open connections and on new ones', async () => {
    const [ofB, ofC] = [await Caller.of(b), await Caller.of(c)]
    expect([await ofB.ask(), await ofC.ask()]).toEqual(['contacts', 'contacts'])
    b.roots = []
    b.sequence = 2
    const since = performance.now()
    await vi.waitFor(async () => expect(await (await Caller.of(b)).ask()).toBe('svid_no_path_to_root'), {
      timeout: 3_000,
      interval: 100,
    })
    // The hint is a second; the rest is for a machine that is busy.
    expect(performance.now() - since).toBeLessThan(2_500)
    expect(await ofB.ask()).toBe('svid_no_path_to_root')
    expect([await ofC.ask(), await (await Caller.of(c)).ask()]).toEqual(['contacts', 'contacts'])

    b.roots = [b.authority]
    b.sequence = 3
    await vi.waitFor(async () => expect(await (await Caller.of(b)).ask()).toBe('contacts'), 3_000)
    expect(ofC.isOpen).toBe(true)
  })

  test('one that a reload removes is refused at once, on open connections and on new ones', async () => {
    const [ofB, ofC] = [await Caller.of(b), await Caller.of(c)]
    expect([await ofB.ask(), await ofC.ask()]).toEqual(['contacts', 'contacts'])
    const asked = b.endpoint.connections()
    await reload([c])
    expect([await ofB.ask(), await (await Caller.of(b)).ask()]).toEqual([
      'svid_untrusted_domain',
      'svid_untrusted_domain',
    ])
    expect([await ofC.ask(), await (await Caller.of(c)).ask()]).toEqual(['contacts', 'contacts'])
    expect(ofC.isOpen).toBe(true)
    // Its endpoint is left alone, the other's is asked as before.
    const other = c.endpoint.connections()
    await vi.waitFor(() => expect(c.endpoint.connections()).toBeGreaterThan(other), 3_000)
    expect(b.endpoint.connections()).toBeLessThanOrEqual(asked + 1)

    await reload([b, c])
    await vi.waitFor(async () => expect(await (await Caller.of(b)).ask()).toBe('contacts'), 3_000)
  })

  test('one that is withdrawn has what is under way cut, and the other has not', async () => {
    const [ofB, ofC] = [await Caller.of(b), await Caller.of(c)]
    await Promise.all([ofB.stream(), ofC.stream()])
    await reload([c])
    await vi.waitFor(() => expect(ofB.isOpen).toBe(false), 3_000)
    expect(ofC.isOpen).toBe(true)
    const [record] = await gate.records(1)
    expect(record).toMatchObject({ refusal: { reason: 'svid_untrusted_domain' } })
  })

  test('one whose root is replaced refuses what the old one signed, and takes what the new one does', async () => {
    const old = await Caller.of(b)
    expect(await old.ask()).toBe('contacts')
    const next = makeAuthority()
    b.roots = [next]
    b.sequence = 2
    await vi.waitFor(
      async () => expect(await (await Caller.of({ ...b, authority: next })).ask()).toBe('contacts'),
      3_000,
    )
    expect(await old.ask()).toBe('svid_no_path_to_root')
  })

  test('one whose endpoint is gone is trusted as before, and the trouble is told and counted', async () => {
    const ofB = await Caller.of(b)
    await b.endpoint.close()
    await vi.waitFor(async () => {
      expect(await metrics()).toMatch(
        /postern_federation_refreshes_total\{trust_domain="b.example",result="failed"\} [1-9]/,
      )
    }, 3_000)
    expect(await metrics()).toMatch(/postern_federation_refresh_timestamp_seconds\{trust_domain="b.example"\} \d+/)
    expect(await ofB.ask()).toBe('contacts')
    expect(gate.log()).toContain('a federated bundle could not be refreshed')
    b = await domain('b.example')
  })
})
