// postern doctor in the simulated pod: all is green; then each thing that is broken turns its own lines red, and no other.
import { mkdir, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { certificatePem } from '../../certs/pem.ts'
import { appending, replacing } from '../../certs/trust/variables.ts'
import { checks } from '../../cli/doctor/checks.ts'
import { nowhere as noAddress } from '../../deploy/redirect/escapes.ts'
import { keyPem, makeAuthority, makeSvid } from '../support/pki.ts'
import { missing } from '../support/programs.ts'
import { addresses, users } from './addresses.ts'
import { whyNot } from './namespaces.ts'
import { canary, program, type Ran, SimulatedPod } from './simulated.ts'

const reason = whyNot()
if (reason !== undefined) console.log(`The simulated pod is left out: ${reason}.`)

interface Line {
  readonly name: string
  readonly state: 'green' | 'red' | 'skipped'
  readonly saw: string
  readonly todo?: string
}

type Variables = Readonly<Record<string, string | undefined>>

const PATH = `${dirname(process.execPath)}:/usr/local/go/bin:/usr/sbin:/usr/bin:/sbin:/bin`
const nowhere = noAddress.v4
const call = 'https://api.example/v1/doctor'
const doctor = [process.execPath, program, 'doctor', '--json']
/** Runtimes that this machine has. */
const present = (
  [
    ['curl', 'curl', '--version'],
    ['wget', 'wget', '--version'],
    ['git', 'git', '--version'],
    ['python', '/usr/bin/python3', '-c', 'import ssl'],
    ['python-requests', '/usr/bin/python3', '-c', 'import requests'],
    ['node', process.execPath, '--version'],
    ['go', '/usr/local/go/bin/go', 'version'],
    ['java', 'java', '-version'],
  ] as const
).flatMap(([name, ...probe]) => (missing(name, probe) === undefined ? [`runtime-${name}`] : []))

const besidesRuntimes = checks.flatMap(({ name }) => (name.startsWith('runtime-') ? [] : [name])).join(',')

const secrets = {
  token: `ghp_${'aB3dE6gH9jK2mN5pQ8sT1vW4yZ7bC0dF3gH6'}`,
  key: '-----BEGIN PRIVATE KEY-----\nMIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg\n-----END PRIVATE KEY-----\n',
}

describe.skipIf(reason !== undefined)('postern doctor', () => {
  let pod: SimulatedPod
  const authority = makeAuthority()
  const home = () => join(pod.path, 'home')
  const here = () => ['--files', home(), '--url', call]

  const svid = (notAfter: number) => {
    const { chain, key } = makeSvid(authority, 'spiffe://acme.example/proxy', { notAfter })
    return { 'svid.pem': chain.map(certificatePem).join(''), 'svid.key': keyPem(key) }
  }

  beforeAll(async () => {
    const more = `identity: { source: files, certificate: svid.pem, key: svid.key }
admin: { metrics: "127.0.0.1:15920" }
`
    pod = await SimulatedPod.make(more, svid(Date.now() + 3_600_000))
    await mkdir(home(), { mode: 0o755 })
    await writeFile(join(home(), 'notes.txt'), 'See commit 3b18e512dba79e4c8300dd08aeb37f8e728b8dad.\n', {
      mode: 0o644,
    })
    await pod.capture('install', '--uid', '1337')
    await pod.startProxy()
  })
  afterAll(async () => {
    await pod?.[Symbol.asyncDispose]()
  })

  function lines({ out, errors }: Ran): Line[] {
    expect(out, errors).toMatch(/^\{/)
    return JSON.parse(out).checks
  }
  const inState = (state: Line['state'], found: readonly Line[]) =>
    found.flatMap((line) => (line.state === state ? [line.name] : []))
  const told = (found: readonly Line[]) =>
    found.flatMap(({ state, name, saw }) => (state === 'red' ? [`${name}: ${saw}`] : [])).join('\n')

  /** What the proxy refused lately, for whoever has to find out why a line is red. */
  const refused = async () =>
    (await pod.records())
      .slice(-40)
      .flatMap(({ kind, caller, destination, refusal }) =>
        refusal === undefined || refusal.reason === 'client_gone'
          ? []
          : [`${kind} of ${caller?.uid} to ${destination?.host}: ${refusal.reason}, ${refusal.detail}`],
      )
      .join('\n')

  /** As root in the pod, who tries as the agent: nothing has to be left out. */
  const whole = (variables: Variables = {}, ...args: readonly string[]) =>
    pod.root([...doctor, '-c', join(pod.path, 'postern.yaml'), '--as', String(users.agent), ...here(), ...args], {
      PATH,
      ...variables,
    })
  /** In the agent's container. */
  const inside = (rights?: readonly string[], ...args: readonly string[]) =>
    pod.agentWith([...doctor, ...here(), ...args], { PATH }, rights)

  async function expectRed(red: readonly string[], ran: Promise<Ran> = whole()): Promise<Line[]> {
    const done = await ran
    const found = lines(done)
    expect(inState('red', found).sort(), `${told(found)}\n${await refused()}`).toEqual([...red].sort())
    expect(done.code).toBe(1)
    expect(done.out).not.toContain(canary)
    for (const { state, todo } of found) expect(todo !== undefined).toBe(state === 'red')
    return found
  }

  describe('where all is well', () => {
    it('is all green for root, who looks from both sides', async () => {
      const ran = await whole()
      const found = lines(ran)
      expect(told(found)).toBe('')
      const absent = found.filter(({ name }) => name.startsWith('runtime-') && !present.includes(name))
      expect(inState('skipped', found).sort()).toEqual(['privileges', ...absent.map(({ name }) => name)].sort())
      expect(ran.code).toBe(0)
      expect(found.find(({ name }) => name === 'call-injected')?.saw).toContain('Credential key was put in as bearer')
    })

    it('is all green in the agent’s container, but for what only the proxy’s side knows', async () => {
      const ran = await inside()
      const found = lines(ran)
      expect(told(found)).toBe('')
      const left = ['capture-rules', 'call-recorded', 'call-injected']
      expect(
        inState('skipped', found)
          .filter((name) => !name.startsWith('runtime-'))
          .sort(),
      ).toEqual(left.sort())
      for (const name of present) expect(inState('green', found)).toContain(name)
      expect(ran.code).toBe(0)
    })

    it('is green in the proxy’s container for what is known there, with the agent’s request', async () => {
      const saw = lines(await inside()).find(({ name }) => name === 'call')?.saw ?? ''
      const id = /request ([0-9a-f-]{36})/.exec(saw)?.[1] ?? ''
      const asProxy = ['setpriv', '--reuid=1337', '--regid=1337', '--clear-groups', '--no-new-privs']
      const command = [...asProxy, ...doctor, '-c', join(pod.path, 'postern.yaml'), '--request', id]
      const found = lines(await pod.root(command, { PATH }))
      expect(inState('green', found).sort()).toEqual(['call-injected', 'call-recorded', 'proxy-ready', 'svid'])
      expect(inState('red', found)).toEqual([])
    })

    it('a stand-in of ours in the environment is no secret', async () => {
      const standIn = `sk-proj-pstrnStandIn${'5yznd7kr2m9q4t8w1x6z3b7c'}`
      expect((await whole({ OPENAI_API_KEY: standIn }, '--only', 'secrets-environment')).code).toBe(0)
    })

    it('a table says the same to people', async () => {
      const { out, code } = await pod.agent([process.execPath, program, 'doctor', '--only', 'escape-quic,svid'])
      expect(out).toMatch(/✓ escape-quic {2}QUIC: EPERM\./)
      expect(out).toContain('2 green, 0 red, 0 skipped.')
      expect(code).toBe(0)
    })
  })

  describe('what is broken in the rules', () => {
    const opened: readonly (readonly [what: string, rules: readonly string[], red: readonly string[]])[] = [
      ['UDP is let out', [`others ip daddr ${nowhere} udp dport 9999 accept`], ['escape-udp']],
      ['QUIC is let out', [`others ip daddr ${nowhere} udp dport 443 accept`], ['escape-quic']],
      [
        'TCP is let out',
        [`turn ip daddr ${nowhere} tcp dport 2222 return`, `others ip daddr ${nowhere} tcp dport 2222 accept`],
        ['escape-tcp'],
      ],
      [
        'the metadata address is open',
        [`others ip daddr ${addresses.metadata} tcp dport 80 accept`],
        ['escape-metadata'],
      ],
      [
        'DNS to resolvers elsewhere is open',
        [`turn ip daddr ${nowhere} udp dport 53 return`, `others ip daddr ${nowhere} udp dport 53 accept`],
        ['escape-dns'],
      ],
      [
        'DNS to the pod’s resolver is open',
        [
          `turn ip daddr ${addresses.gateway} udp dport 53 return`,
          `others ip daddr ${addresses.gateway} udp dport 53 accept`,
        ],
        ['escape-dns'],
      ],
      [
        'DNS over TCP is open',
        [`turn ip daddr ${nowhere} tcp dport 53 return`, `others ip daddr ${nowhere} tcp dport 53 accept`],
        ['escape-dns-tcp'],
      ],
      [
        'IPv6 has no rules',
        ['turn ip6 daddr 2001:db8::1 return', 'others ip6 daddr 2001:db8::1 accept'],
        ['escape-ipv6'],
      ],
      ['ping is let out', [`others ip daddr ${nowhere} icmp type echo-request accept`], ['escape-other-protocols']],
    ]
    it.each(opened)('%s: that line is red, and that of the rules', async (_what, rules, red) => {
      for (const rule of rules) pod.privileged(['nft', 'insert', 'rule', 'inet', 'postern', ...rule.split(' ')])
      try {
        await expectRed(['capture-rules', ...red])
        // From the agent, who may not read the rules, the attempt alone proves it.
        await expectRed(red, inside(undefined, '--only', besidesRuntimes))
      } finally {
        await pod.capture('install', '--uid', '1337')
      }
    })

    it('a rule is taken away that no attempt needs: the line of the rules is red alone', async () => {
      pod.privileged(['nft', 'flush', 'chain', 'inet', 'postern', 'inside'])
      await expectRed(['capture-rules'])
      await pod.capture('install', '--uid', '1337')
    })

    it('they are gone: each way out is red, and what needs the proxy is not said to be well', async () => {
      await pod.capture('remove')
      try {
        const ways = ['tcp', 'udp', 'quic', 'metadata', 'dns', 'dns-tcp', 'ipv6', 'other-protocols']
        const found = await expectRed(['capture-rules', 'proxy', ...ways.map((name) => `escape-${name}`)])
        expect(inState('skipped', found)).toEqual(expect.arrayContaining(['trust-variables', 'call', ...present]))
      } finally {
        await pod.capture('install', '--uid', '1337')
      }
    })
  })

  describe('what is broken in the trust', () => {
    const runtime = (name: string) => (present.includes(`runtime-${name}`) ? [`runtime-${name}`] : [])

    it.each([
      ['NODE_EXTRA_CA_CERTS', 'node'],
      ['GIT_SSL_CAINFO', 'git'],
      ['JAVA_TOOL_OPTIONS', 'java'],
      ['SYSTEM_WGETRC', 'wget'],
    ])('%s is unset: the line of the variables is red, and that of %s', async (variable, name) => {
      await expectRed(['trust-variables', ...runtime(name)], whole({ [variable]: undefined }))
    })

    it('one that no runtime here needs is unset: the line of the variables is red alone', async () => {
      const found = await expectRed(['trust-variables'], whole({ DENO_CERT: undefined, PIP_CERT: '' }))
      expect(told(found)).toContain('not set: PIP_CERT, DENO_CERT')
    })

    it('one leads to another authority: the line of the variables is red, and that of its runtime', async () => {
      const other = join(home(), 'other.pem')
      await writeFile(other, makeAuthority().pem, { mode: 0o644 })
      const found = await expectRed(['trust-variables', ...runtime('curl')], whole({ CURL_CA_BUNDLE: other }))
      expect(told(found)).toContain('without the proxy’s authority: CURL_CA_BUNDLE')
      const all = Object.fromEntries([...replacing, ...appending].map((name) => [name, other]))
      const everything = { ...all, SSL_CERT_DIR: other, JAVA_TOOL_OPTIONS: undefined, SYSTEM_WGETRC: undefined }
      await expectRed(['trust-variables', ...present], whole(everything))
      await rm(other)
    })
  })

  describe('what the agent should not have', () => {
    it('a secret in its environment: that line is red, and says where and not what', async () => {
      const ran = whole({ DEPLOY_TOKEN: secrets.token, DB: 'postgres://app:hunter2hunter2@db.example/app' })
      const found = await expectRed(['secrets-environment'], ran)
      expect(told(found)).toContain('DEPLOY_TOKEN (GitHub token); DB (password in a URL)')
      expect((await ran).out).not.toMatch(/ghp_|hunter2/)
    })

    it('a secret in a file: that line is red, and says where and not what', async () => {
      const file = join(home(), 'id_app')
      await writeFile(file, `# of the app\n${secrets.key}`, { mode: 0o644 })
      const ran = whole()
      const found = await expectRed(['secrets-files'], ran)
      expect(told(found)).toContain(`${file}:2 (private key)`)
      expect((await ran).out).not.toContain('MIGHAgEA')
      await rm(file)
    })

    it('a file that it cannot read is none of its', async () => {
      const file = join(home(), 'id_proxy')
      await writeFile(file, secrets.key, { mode: 0o600 })
      expect((await whole({}, '--only', 'secrets-files')).code).toBe(0)
      await rm(file)
    })

    it('the capability NET_RAW: the lines of such sockets are red, and that of the privileges', async () => {
      const rights = [
        '--no-new-privs',
        '--bounding-set=-all,+net_raw',
        '--inh-caps=-all,+net_raw',
        '--ambient-caps=+net_raw',
      ]
      await expectRed(['escape-packet-socket', 'escape-raw-socket', 'privileges'], inside(rights))
    })

    it('the capability SETUID: that it can be another user is red, and that of the privileges', async () => {
      const both = '+setuid,+setgid'
      const rights = [
        '--no-new-privs',
        `--bounding-set=-all,${both}`,
        `--inh-caps=-all,${both}`,
        `--ambient-caps=${both}`,
      ]
      await expectRed(['escape-other-user', 'privileges'], inside(rights))
    })

    it('setuid programs without no_new_privs: the line of the privileges is red alone', async () => {
      await expectRed(['privileges'], inside([]))
    })
  })

  describe('what is broken in the proxy', () => {
    it('no rule allows the call: that line is red, with its reason, and the record says the same', async () => {
      const found = await expectRed(['call', 'call-recorded'], whole({}, '--url', 'https://api.example/v2/nothing'))
      expect(told(found)).toMatch(/call: It was refused: no_rule \(request [0-9a-f-]{36}\)/)
    })

    it('no rule could allow anything at that host: the call is red, and has no answer', async () => {
      const only = ['--only', 'call,call-recorded', '--url', 'https://forbidden.example/']
      const found = await expectRed(['call'], whole({}, ...only))
      expect(told(found)).toContain('forbidden.example gave no answer')
    })

    it('the agent is nobody that it knows: the line of the proxy is red, with the reason', async () => {
      const found = await expectRed(['proxy'], whole({}, '--as', '4711'))
      expect(told(found)).toContain('it refuses whoever asks (access denied)')
    })

    it('its credential cannot be had: the call is red, with its reason', async () => {
      await pod.killProxy()
      await pod.startProxy({})
      const found = await expectRed(['call', 'call-recorded'])
      expect(told(found)).toContain('credential_unavailable')
    })

    it('its SVID has expired: that line is red', async () => {
      await pod.killProxy()
      await pod.startProxy()
      for (const [name, text] of Object.entries(svid(Date.now() + 6_000))) await writeFile(join(pod.path, name), text)
      await vi.waitFor(async () => expect((await whole({}, '--only', 'svid')).code).toBe(1), 20_000)
      await expectRed(['svid'])
    })

    it('it is dead: its line is red, what needs it is left out, and nothing escapes', async () => {
      await pod.killProxy()
      const found = await expectRed(['proxy'])
      const left = ['call', 'call-injected', 'call-recorded', 'proxy-ready', 'svid', 'trust-variables', ...present]
      expect(inState('skipped', found)).toEqual(expect.arrayContaining(left))
      expect(inState('green', found)).toEqual(expect.arrayContaining(['escape-tcp', 'escape-dns', 'escape-metadata']))
    })
  })
})
