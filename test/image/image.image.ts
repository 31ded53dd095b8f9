// The images: what is in them, that nothing else is, and that they do what a pod asks of them.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync } from 'node:fs'
import { chown, mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { Postern } from '../support/postern.ts'
import { recordsIn } from '../support/records.ts'
import { through } from '../support/through.ts'
import { type HttpsUpstream, httpsUpstream } from '../support/upstream.ts'
import { insideOf, type Ran, run, start } from './container.ts'
import { type Image, unpack } from './layout.ts'
import { productionOf } from './lock.ts'
import { whyNot } from './machine.ts'
import { Page } from './page.ts'
import { type Entry, elfOf, entriesOf } from './tree.ts'

const canary = 'canary-image-93d1f07c'
const uid = 14_001
const mebibytes = (bytes: number) => Math.round(bytes / 1e6)
const began = Date.now()
const seconds = () => Math.round((Date.now() - began) / 1_000)

/** What mmdebstrap and apt say where no mirror answers. */
const unreachable = /Could not (resolve|connect)|Temporary failure|Failed to fetch|Connection (timed out|refused)/

let reason = whyNot()
const page = reason === undefined ? await Page.open() : undefined
if (page !== undefined) {
  const { code, said } = await page.run(0, 1)
  if (code === 0) console.log(`The base is made after ${seconds()} s.`)
  else {
    // Where all tests are left out, nothing is called after them.
    await page[Symbol.asyncDispose]()
    if (!unreachable.test(said)) throw new Error(said)
    reason = 'the mirror of Debian cannot be reached'
  }
}
if (reason !== undefined) console.log(`The images are left out: ${reason}.`)
afterAll(() => page?.[Symbol.asyncDispose]())

describe.skipIf(reason !== undefined)('the images', () => {
  const images: Record<string, Image> = {}
  const image = (name: string): Image => {
    const found = images[name]
    if (found === undefined) throw new Error(`${name} was not built`)
    return found
  }

  beforeAll(async () => {
    if (page === undefined) return
    const { code, said } = await page.run(1, page.commands)
    if (code !== 0) throw new Error(said)
    console.log(`All commands of docs/image.md are done after ${seconds()} s.`)
    for (const name of ['postern', 'postern-capture', 'postern-capture-arm64']) {
      const made = await unpack(join(page.checkout, 'layout'), name, join(page.folder, name))
      images[name] = made
      const { sent, unpacked } = made
      console.log(`${name}: ${mebibytes(unpacked)} MB unpacked, ${mebibytes(sent)} MB as layers`)
    }
  })

  describe.each([
    ['postern', 'amd64', [], `${uid}:${uid}`],
    ['postern-capture', 'amd64', ['usr/sbin/nft'], '0:0'],
    ['postern-capture-arm64', 'arm64', ['usr/sbin/nft'], '0:0'],
  ] as const)('%s', (name, architecture, more, user) => {
    const native = process.arch === 'x64' ? 'amd64' : process.arch
    const expected = name.endsWith('arm64') ? architecture : native
    let entries: readonly Entry[] = []
    beforeAll(() => {
      entries = entriesOf(image(name).root)
    })
    const files = () => entries.filter(({ kind }) => kind === 'file')
    const read = (path: string) => readFileSync(join(image(name).root, path))

    it('holds no program but Node.js, Postern and what the target is for: no shell, no package manager', () => {
      const programs = files().filter(({ path, mode }) => (mode & 0o111) !== 0 && !/\.so[.\d]*$/.test(path))
      expect(programs.map(({ path }) => path).sort()).toEqual(
        ['usr/bin/node', 'usr/lib/postern/cli/postern.js', ...more].sort(),
      )
      const scripts = files().filter(({ path }) => read(path).toString('latin1', 0, 2) === '#!')
      expect(scripts.map(({ path }) => path)).toEqual(['usr/lib/postern/cli/postern.js'])
      expect(entries.filter(({ path }) => /(^|\/)(node_modules|npm|apt|dpkg|busybox)$/.test(path))).toEqual([])
    })

    it('gives nobody more than they have: nothing setuid, no capability of a file, nothing that all may write', () => {
      expect(entries.filter(({ mode }) => (mode & 0o6000) !== 0)).toEqual([])
      expect(image(name).fileCapabilities).toBe(false)
      expect(entries.filter(({ kind, mode }) => kind !== 'link' && (mode & 0o002) !== 0)).toEqual([])
      expect(entries.filter(({ kind }) => kind === 'other')).toEqual([])
      const owned = entries.filter((entry) => entry.uid !== 0 || entry.gid !== 0)
      expect(owned.map(({ path }) => path).sort()).toEqual(['run/postern', 'run/postern-trust'])
    })

    it('is all of one architecture, with every library that something in it needs', () => {
      expect(image(name).architecture).toBe(expected)
      const machine = expected === 'arm64' ? 183 : 62
      const here = new Set(entries.map(({ path }) => path.split('/').at(-1)))
      const elves = files().flatMap(({ path }) => {
        const elf = elfOf(join(image(name).root, path))
        return elf === undefined ? [] : [{ path, ...elf }]
      })
      expect(elves.length).toBeGreaterThan(10)
      expect(elves.filter((elf) => elf.machine !== machine)).toEqual([])
      expect(
        elves.flatMap(({ path, needed }) => needed.filter((each) => !here.has(each)).map((each) => `${path}: ${each}`)),
      ).toEqual([])
    })

    it('says who runs it, how, and what it is', () => {
      const { config } = image(name)
      const { version } = JSON.parse(readFileSync(join(page?.checkout ?? '', 'package.json'), 'utf8'))
      expect(config).toMatchObject({ User: user, StopSignal: 'SIGTERM' })
      // Which options is held to the launcher by another test.
      expect(config.Entrypoint?.slice(0, 2)).toEqual(['/usr/bin/node', '--permission'])
      expect(config.Entrypoint?.at(-1)).toBe('/usr/lib/postern/cli/postern.js')
      const title = name.replace('-arm64', '')
      expect(config.Labels).toMatchObject({
        'org.opencontainers.image.title': title,
        'org.opencontainers.image.description': expect.stringMatching(/\w/),
        'org.opencontainers.image.version': version,
        'org.opencontainers.image.revision': expect.stringMatching(/^[0-9a-f]{40}$/),
        'org.opencontainers.image.licenses': 'Apache-2.0',
      })
    })

    it('lists in its SBOM exactly the packages of production, and what came from Debian', () => {
      const sbom = JSON.parse(read('usr/share/sbom/postern.cdx.json').toString())
      expect(sbom).toMatchObject({ bomFormat: 'CycloneDX', specVersion: '1.5' })
      expect(sbom.metadata.component).toMatchObject({ name: 'postern', type: 'application' })
      const purls: readonly string[] = sbom.components.map(({ purl }: { purl: string }) => purl)
      const listed = sbom.components.filter(({ purl }: { purl: string }) => purl.startsWith('pkg:npm/'))
      const cpu = expected === 'amd64' ? 'x64' : expected
      expect(listed.map((each: { name: string; version: string }) => `${each.name}@${each.version}`).sort()).toEqual(
        productionOf(page?.checkout ?? '', `node-linux-${cpu}`),
      )
      expect(listed.filter(({ hashes }: { hashes?: readonly object[] }) => hashes?.length !== 1)).toEqual([])
      const debian = (of: readonly string[]) =>
        of.flatMap((purl) => /^pkg:deb\/debian\/([^@]+)@[^?]+\?arch=(all|amd64|arm64)$/.exec(purl)?.[1] ?? [])
      expect(debian(purls)).toEqual([
        'ca-certificates',
        expect.stringMatching(/^gcc-\d+-base$/),
        ...['libatomic1', 'libc6', 'libgcc-s1', 'libstdc%2B%2B6'],
      ])
      if (more.length === 0) return
      const second = JSON.parse(read('usr/share/sbom/nft.cdx.json').toString())
      expect(debian(second.components.map(({ purl }: { purl: string }) => purl))).toEqual([
        ...['libbsd0', 'libedit2', 'libgmp10', 'libjansson4', 'libmd0', 'libmnl0', 'libnftables1', 'libnftnl11'],
        ...['libtinfo6', 'libxtables12', 'nftables'],
      ])
    })

    it('keeps the licence of everything that it holds', () => {
      for (const of of ['node', 'postern', 'libc6', 'ca-certificates'])
        expect(read(`usr/share/doc/${of}/copyright`).length).toBeGreaterThan(100)
      expect(read('usr/share/doc/postern/bundled-licences.txt').toString()).toContain('license')
    })

    it('holds nothing of the settings of npm, in a layer or in its history', () => {
      const settings = readFileSync(join(page?.folder ?? '', 'npmrc'), 'utf8')
      const secrets = settings.split('\n').filter((line) => line.length > 12 && !line.startsWith('ca[]='))
      const texts = [
        JSON.stringify(image(name).history),
        ...files().map(({ path }) => (path.endsWith('node') ? '' : read(path).toString('latin1'))),
      ]
      expect(entries.filter(({ path }) => /npmrc/.test(path))).toEqual([])
      for (const secret of secrets) expect(texts.some((text) => text.includes(secret))).toBe(false)
    })

    it('is no larger than the page says', () => {
      expect(mebibytes(image(name).unpacked)).toBeLessThanOrEqual(140)
      expect(mebibytes(image(name).sent)).toBeLessThanOrEqual(55)
    })
  })

  it('share the layer that is large', () => {
    const [large, small] = image('postern-capture').layers
    expect(image('postern').layers.map(({ digest }) => digest)).toEqual([large?.digest])
    expect(small?.size).toBeLessThan(3e6)
  })

  it('give out their SBOM by the commands of the page', async () => {
    const taken = await readFile(join(page?.checkout ?? '', 'postern.cdx.json'))
    expect(taken.equals(await readFile(join(image('postern').root, 'usr/share/sbom/postern.cdx.json')))).toBe(true)
  })

  describe('postern, started', () => {
    let volumes = ''
    let upstream: HttpsUpstream
    let proxy: Postern
    const seen: string[] = []
    const mounts = () => ({
      '/etc/postern': join(volumes, 'config'),
      '/etc/postern-credentials': join(volumes, 'credentials'),
      '/run/postern': join(volumes, 'state'),
      '/run/postern-trust': join(volumes, 'trust'),
      '/etc/hosts': join(volumes, 'hosts'),
    })

    beforeAll(async () => {
      volumes = join(page?.folder ?? '', 'volumes')
      upstream = await httpsUpstream(['api.example'], ({ headers }, response) => {
        seen.push(headers.authorization ?? 'nothing')
        response.end(`you sent ${headers.authorization}`)
      })
      for (const folder of ['config', 'credentials', 'state', 'trust'])
        await mkdir(join(volumes, folder), { recursive: true, mode: 0o755 })
      for (const folder of ['state', 'trust']) await chown(join(volumes, folder), uid, uid)
      await writeFile(join(volumes, 'config/postern.yaml'), configuration(upstream.port))
      await writeFile(join(volumes, 'config/ca.pem'), upstream.ca)
      await writeFile(join(volumes, 'credentials/api-key'), canary)
      await chown(join(volumes, 'credentials/api-key'), uid, uid)
      await writeFile(join(volumes, 'hosts'), '127.0.0.1 localhost api.example\n')
      proxy = new Postern(await start({ image: image('postern'), mounts: mounts() }))
      await proxy.told('ready')
    })
    afterAll(async () => {
      proxy?.child.kill('SIGKILL')
      await proxy?.ended
      await upstream?.close()
    })

    it('tells its version', async () => {
      const { version } = JSON.parse(readFileSync(join(page?.checkout ?? '', 'package.json'), 'utf8'))
      expect(await run({ image: image('postern') }, ['--version'])).toEqual({
        code: 0,
        out: `${version}\n`,
        errors: '',
      })
    })

    it('says which program is missing where there is no nft', async () => {
      const { code, errors } = await run({ image: image('postern') }, ['capture', 'status'])
      expect(errors).toContain('neither nft nor iptables')
      expect(code).toBe(69)
    })

    it('runs as its user without a capability, on a root that nobody can write', () => {
      const inside = insideOf(proxy.child)
      const status = readFileSync(`/proc/${inside}/status`, 'utf8')
      expect(status).toMatch(new RegExp(`^Uid:(\\t${uid}){4}$`, 'm'))
      expect(status).toMatch(new RegExp(`^Gid:(\\t${uid}){4}$`, 'm'))
      expect(status).toMatch(/^CapEff:\t0+$/m)
      expect(status).toMatch(/^NoNewPrivs:\t1$/m)
      expect(readFileSync(`/proc/${inside}/mountinfo`, 'utf8')).toMatch(
        new RegExp(` ${image('postern').root} / ro[, ]`),
      )
    })

    it('carries one request: the credential reaches the destination, not the agent, and a record says so', async () => {
      const ca = await readFile(join(volumes, 'trust/trust/ca.pem'), 'utf8')
      await using client = await through({ port: await proxy.port(), ca }, 'api.example', upstream.port)
      const answer = await client.request(['GET /v1/things HTTP/1.1', `Host: api.example:${upstream.port}`])
      expect(answer.status).toBe(200)
      expect(seen).toEqual([`Bearer ${canary}`])
      expect(answer.text).toMatch(/^you sent /)
      expect(answer.text).not.toContain(canary)
      const record = await vi.waitFor(async () => {
        const [first] = (await recordsIn(join(volumes, 'state/records.jsonl'))).filter(({ kind }) => kind === 'request')
        if (first === undefined) throw new Error(`no record\n${proxy.errors}`)
        return first
      }, 5_000)
      expect(record).toMatchObject({ decision: { verdict: 'allow', rule: 'reads' }, credential: { name: 'api-key' } })
    })

    it('ends at SIGTERM as the first process of its container', async () => {
      process.kill(insideOf(proxy.child), 'SIGTERM')
      expect(await proxy.ended).toBe(0)
      expect(proxy.errors).not.toContain(canary)
      expect(existsSync(join(volumes, 'state/records.jsonl'))).toBe(true)
    })

    it('says what is wrong where it may not write its records, and does not run', async () => {
      const closed = join(volumes, 'closed')
      await mkdir(closed)
      const { code, errors } = await run({ image: image('postern'), mounts: { ...mounts(), '/run/postern': closed } })
      expect(errors).toMatch(/records\.jsonl|\/run\/postern/)
      expect(code).not.toBe(0)
      await rm(closed, { recursive: true })
    })
  })

  describe('postern-capture, in a network of its own', () => {
    let holder: ChildProcess
    const capture = (...args: readonly string[]): Promise<Ran> =>
      run({ image: image('postern-capture'), network: holder.pid ?? 0, capabilities: ['net_admin'] }, [
        'capture',
        ...args,
      ])

    beforeAll(async () => {
      const held = spawn('unshare', ['-n', 'sh', '-c', 'echo made; exec cat'])
      await once(held.stdout, 'data')
      holder = held
    })
    afterAll(async () => {
      holder?.kill('SIGKILL')
      if (holder !== undefined) await once(holder, 'close')
    })

    it('has no rules at first', async () => {
      const { code, out } = await capture('status', '--json')
      expect(JSON.parse(out)).toMatchObject({ rules: 'none', program: 'nft' })
      expect(code).toBe(1)
    })

    it('says which capability is missing where it has none, and changes nothing', async () => {
      const without = { image: image('postern-capture'), network: holder.pid ?? 0 }
      const { code, errors } = await run(without, ['capture', 'install', '--uid', String(uid)])
      expect(errors).toContain('NET_ADMIN')
      expect(code).toBe(77)
    })

    it('puts the rules in force as the injector asks for it', async () => {
      const asked = ['install', '--uid', String(uid), '--port', '15906', '--dns-port', '15953']
      expect(await capture(...asked)).toMatchObject({
        code: 0,
        errors: '',
        out: expect.stringContaining('in force (nft)'),
      })
      expect((await capture(...asked)).out).toContain('in force already')
      const { out } = await capture('status', '--json')
      expect(JSON.parse(out)).toMatchObject({
        rules: 'in force',
        plan: { uid, port: 15_906, dnsPort: 15_953 },
        changes: [],
      })
    })

    it('proves that nothing gets past them', async () => {
      const { code, out } = await capture('verify')
      expect(out).toContain('ok    rules: in force')
      expect(out).toContain('gets past the proxy')
      expect(code).toBe(0)
    })

    it('takes them away', async () => {
      expect(await capture('remove')).toMatchObject({ code: 0, errors: '' })
      expect(JSON.parse((await capture('status', '--json')).out)).toMatchObject({ rules: 'none' })
    })
  })
})

const configuration = (port: number) => `version: 1
trustDomain: acme.example
listen:
  - { name: agents, address: "127.0.0.1:0", accept: http-proxy, callers: [kernel], agent: spiffe://acme.example/agent }
trust: { directory: /run/postern-trust }
records: { to: /run/postern/records.jsonl }
destinations:
  api: { hosts: [api.example], ports: [${port}], addresses: [127.0.0.0/8], ca: [ca.pem] }
credentials:
  api-key: { kind: file, path: /etc/postern-credentials/api-key, for: [api] }
rules:
  - name: reads
    allow: { agents: [spiffe://acme.example/agent], to: api, methods: [GET], paths: [/v1/**] }
    use: api-key
    inject: bearer
`
