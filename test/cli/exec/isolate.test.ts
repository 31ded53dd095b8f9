// A command in a namespace of its own: what ignores every proxy variable is captured, what wants to get past the proxy gets nowhere, and otherwise it is as if we were not there.
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, createWriteStream, readdirSync, readlinkSync, writeFileSync } from 'node:fs'
import { type AddressInfo, connect, createServer } from 'node:net'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest'
import { missing } from '../../support/programs.ts'
import {
  attemptsProgram,
  canary,
  type Outside,
  outside,
  ownUid,
  posternArguments,
  program,
  Shell,
  searched,
  user,
  whyNot,
  withoutProxy,
} from './isolated.ts'

const python = '/usr/bin/python3'
const reason = whyNot() ?? missing('Python', [python, '-c', 'import ssl'])
if (reason !== undefined) console.log(`Isolation is left out: ${reason}.`)
/** What takes seconds is left to a run of its own. */
const whole = process.env.POSTERN_ISOLATE === 'all'
if (!whole) console.log('Of isolation, Java, the terminal and more starts are left to npm run test:isolate.')

const required = ['--isolate=require', '--']

/** Pids of all processes in a network namespace. */
function processesIn(namespace: string): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => namespaceOf(pid) === namespace)
}

const namespaceOf = (pid: number) => linkOf(`/proc/${pid}/ns/net`)

function linkOf(path: string): string | undefined {
  try {
    return readlinkSync(path)
  } catch {
    return undefined
  }
}

describe.skipIf(reason !== undefined)('an isolated command', () => {
  let world: Outside
  let shell: Shell
  let url: string

  beforeAll(async () => {
    world = await outside()
    url = `https://api.example.test:${world.apiPort}/v1/`
    shell = new Shell(world.start([...required, '/bin/sh']))
    await shell.run('true')
  })
  afterAll(async () => {
    await world?.[Symbol.asyncDispose]()
  })
  beforeEach(() => {
    world.reached()
    world.asked()
  })

  describe('that ignores the proxy variables, or never heard of them,', () => {
    const clients: Record<string, (url: string) => readonly string[]> = {
      'Python urllib': (url) => [python, '-c', `import urllib.request as u; print(u.urlopen('${url}').read())`],
      'a raw socket client': (url) => [python, '-c', rawClient(new URL(url))],
      'Node without support for proxies': (url) => [
        process.execPath,
        '-e',
        `require('https').get('${url}', { agent: false }, (a) => a.pipe(process.stdout))`,
      ],
    }
    if (missing('curl', ['curl', '--version']) === undefined) clients.curl = (url) => ['curl', '-sS', url]
    // The machine's own, where it is an older one.
    if (missing('Node 20', ['/usr/bin/node', '-e', 'process.exit(process.versions.node < "22" ? 0 : 1)']) === undefined)
      clients['Node 20'] = (url) => ['/usr/bin/node', '-e', `fetch('${url}').then((a) => a.text()).then(console.log)`]
    if (whole && missing('Java', ['java', '-version']) === undefined)
      clients.Java = (url) => [
        ...javaWithoutProxy,
        fileURLToPath(new URL('../../support/Fetch.java', import.meta.url)),
        url,
      ]

    it.each(Object.keys(clients))('is captured, and its call gets the credential: %s', async (name) => {
      const path = name.replaceAll(' ', '-')
      const { got } = await shell.run(...withoutProxy, ...(clients[name]?.(`${url}${path}`) ?? []))
      expect(got).toContain('contacts')
      expect(world.asked()).toEqual([{ url: `/v1/${path}`, authorization: `Bearer ${canary}` }])
      expect(await world.recordOf(`/v1/${path}`)).toMatchObject({
        outcome: 'allowed',
        listener: 'exec-redirected',
        connection: { isolation: 'namespace', original: { port: world.apiPort } },
        caller: { spiffe_id: 'spiffe://acme.example/agent', proofs: ['namespace', 'kernel'], uid: ownUid },
        credential: { name: 'key' },
      })
    })

    it('over IPv6 is captured', async () => {
      const script = `import socket,ssl
s=ssl.create_default_context().wrap_socket(socket.create_connection(('2001:db8::7',${world.apiPort})),server_hostname='api.example.test')
s.sendall(b'GET /v1/six HTTP/1.0\\r\\nHost: api.example.test:${world.apiPort}\\r\\n\\r\\n'); print(s.recv(999))`
      expect((await shell.run(...withoutProxy, python, '-c', script)).got).toContain('200 OK')
      expect(await world.recordOf('/v1/six')).toMatchObject({
        listener: 'exec-redirected-v6',
        findings: [{ kind: 'address_mismatch', note: 'connected to 2001:db8::7' }],
      })
    })
  })

  it('that keeps to the variables goes through the proxy that they name, in there', async () => {
    const program = `fetch('${url}by-variable').then(async (a) => console.log(a.status, await a.text()))`
    expect((await shell.run(process.execPath, '-e', program)).got).toContain('200 contacts')
    expect(await world.recordOf('/v1/by-variable')).toMatchObject({
      listener: 'exec',
      connection: { isolation: 'namespace' },
      caller: { proofs: ['namespace', 'kernel', 'run-token'] },
    })
  })

  it('that brings no token is let in all the same, since nobody else is there', async () => {
    const program = `require('http').get({ host: '127.0.0.1', port: new URL(process.env.HTTPS_PROXY).port, path: 'http://elsewhere.example/', headers: { host: 'elsewhere.example' } }, (a) => a.pipe(process.stdout))`
    expect(JSON.parse((await shell.run(process.execPath, '-e', program)).got)).toMatchObject({ reason: 'no_rule' })
  })

  describe('that wants to get past the proxy', () => {
    it('could, were it not isolated, so that the attempts below mean something', async () => {
      const { host, port } = world.witness
      const tried = (...args: readonly (string | number)[]) =>
        spawnAttempt([python, attemptsProgram, ...args.map(String)])
      expect(await tried('tcp', host, port)).toContain('220 outside')
      expect(await tried('udp', host, port)).toBe('sent')
      const seen: string[] = []
      await vi.waitFor(() => {
        seen.push(...world.reached())
        expect(new Set(seen)).toEqual(new Set(['tcp', 'udp']))
      })
    })

    const nowhere = { v4: '198.51.100.66', v6: '2001:db8:2::66' }
    const refusedByProxy = /^(ECONNRESET|answered b'')$/
    const attempts: readonly (readonly [string, string, (string | number)[], string | RegExp])[] = [
      ['TCP to an address over IPv6', 'tcp', [nowhere.v6, 443], refusedByProxy],
      ['TCP to an address as v4-mapped v6', 'mapped', [nowhere.v4, 443], refusedByProxy],
      ['DNS of a name that no rule allows', 'dns', [nowhere.v4, 'forbidden.example', 1], 'code 3, 0 answers'],
      ['DNS of it by TCP, over IPv6', 'dnstcp', [nowhere.v6, 'forbidden.example', 28], 'code 3, 0 answers'],
      ['DNS TXT of an allowed name', 'dns', ['127.0.0.53', 'api.example.test', 16], 'code 0, 0 answers'],
      ['QUIC', 'udp', [nowhere.v4, 443], 'EPERM'],
      ['QUIC over IPv6', 'udp', [nowhere.v6, 443], 'EPERM'],
      ['UDP to any port', 'udp', [nowhere.v4, 9_999], 'EPERM'],
      ['UDP-Lite', 'udplite', [nowhere.v4], /^(EPERM|EPROTONOSUPPORT|ESOCKTNOSUPPORT)$/],
      ['SCTP', 'sctp', [nowhere.v4], /^(EPERM|EPROTONOSUPPORT|ESOCKTNOSUPPORT|ETIMEDOUT|TimeoutError)$/],
      ['ping', 'ping', [nowhere.v4], /^(EACCES|EPERM)$/],
      ['the metadata address', 'tcp', ['169.254.169.254', 80], 'ECONNREFUSED'],
      ['the metadata address as v4-mapped v6', 'mapped', ['169.254.169.254', 80], 'ECONNREFUSED'],
      ['the metadata address over IPv6', 'tcp', ['fd00:ec2::254', 80], 'ECONNREFUSED'],
      ['the metadata address by NAT64', 'tcp', ['64:ff9b::a9fe:a9fe', 80], 'ECONNREFUSED'],
      ['the metadata address by UDP', 'udp', ['169.254.169.254', 9_999], 'EPERM'],
      ['a raw socket', 'raw', [], 'EPERM'],
      ['a raw IPv6 socket', 'raw6', [], 'EPERM'],
      ['a packet socket', 'packet', [], 'EPERM'],
      ['a mark on its packets', 'mark', [], 'EPERM'],
      ['a transparent socket', 'transparent', [], 'EPERM'],
      ['another user', 'setuid', [], /^(EPERM|EINVAL)$/],
      ['a network namespace of its own', 'netns', [], 'EPERM'],
      ['the listener itself, with nothing redirected', 'tcp', ['127.0.0.1', 15_001], refusedByProxy],
      ['the listener itself over IPv6', 'tcp', ['::1', 15_001], refusedByProxy],
    ]
    let answers: readonly string[]
    beforeAll(async () => {
      answers = await shell.attempts(attempts.map(([, name, args]) => [name, ...args]))
    })
    it.each(attempts.map(([what, , , got], at) => [what, got, at] as const))('gets nowhere by %s', (_what, got, at) => {
      const answer = answers[at]
      if (typeof got === 'string') expect(answer).toBe(got)
      else expect(answer).toMatch(got)
    })

    it('reaches none of the machine’s own services, on loopback or not', async () => {
      const { host, port } = world.witness
      expect(await shell.attempt('tcp', host, port)).toMatch(refusedByProxy)
      expect(await shell.attempt('udp', host, port)).toBe('EPERM')
      expect(await shell.attempt('tcp', '127.0.0.1', port)).toBe('ECONNREFUSED')
      await shell.attempt('udp', '127.0.0.1', port)
      expect(world.reached()).toEqual([])
    })

    it('cannot have the name of a host lead it elsewhere', async () => {
      const { got } = await shell.run(...withoutProxy, 'curl', '-sS', `https://api.example.test:1/`)
      expect(got).not.toContain('contacts')
      expect(world.asked()).toEqual([])
    })

    it('has no capability, and gets none', async () => {
      const { got } = await shell.run('grep', '-E', '^(Cap(Inh|Prm|Eff|Amb)|NoNewPrivs)', '/proc/self/status')
      expect(got.replaceAll(/\s+/g, ' ')).toBe(
        ['CapInh: 0', 'CapPrm: 0', 'CapEff: 0', 'CapAmb: 0'].map((each) => `${each}${'0'.repeat(15)} `).join('') +
          'NoNewPrivs: 1',
      )
    })

    it.each([
      ['looking at the rules', ['nft', 'list', 'ruleset']],
      ['flushing the rules', ['nft', 'flush', 'ruleset']],
      ['a route', ['ip', 'route', 'del', 'default']],
      ['an interface', ['ip', 'link', 'add', 'way', 'type', 'dummy']],
      ['mounting', ['mount', '-t', 'tmpfs', 'none', '/mnt']],
    ])('is refused %s', async (_what, command) => {
      const { got, code } = await shell.run('env', 'PATH=/usr/sbin:/usr/bin:/sbin:/bin', ...command)
      expect(got).toMatch(/not permitted|denied|must be (root|superuser)/i)
      expect(code).not.toBe(0)
    })

    it('has no network in namespaces that it makes itself, and cannot change the rules from there', async () => {
      const inside = `ip link set lo up; ip route add default dev lo; timeout 1 ${python} ${attemptsProgram} tcp ${world.witness.host} ${world.witness.port}`
      const { got } = await shell.run('unshare', '-Urn', 'sh', '-c', `PATH=$PATH:/usr/sbin; ${inside}`)
      expect(got).toBe('')
      const { got: flushed } = await shell.run('unshare', '-Ur', 'sh', '-c', 'PATH=$PATH:/usr/sbin; nft flush ruleset')
      expect(flushed).toMatch(/not permitted|denied/i)
      expect(world.reached()).toEqual([])
    })

    it('cannot go back to where it came from', async () => {
      const { pid } = shell.exec.child
      const outsider = process.pid
      for (const of of [pid, outsider, 1]) {
        for (const spaces of [['--net'], ['--user', '--net', '--preserve-credentials']]) {
          const { got, code } = await shell.run('nsenter', '--target', String(of), ...spaces, '--', 'true')
          expect(got).toMatch(/not permitted|denied/i)
          expect(code).not.toBe(0)
        }
      }
    })

    it('cannot look into a process of its own user outside', async () => {
      const other = spawn('sleep', ['60'], { ...user, env: { SECRET: 'of-a-neighbour' } })
      await once(other, 'spawn')
      expect((await shell.run('cat', `/proc/${other.pid}/environ`)).got).toMatch(/denied/)
      other.kill('SIGKILL')
    })

    it('gains nothing by killing what holds the namespace', async () => {
      const own = await shell.pid()
      const others = processesIn(namespaceOf(own) ?? '').filter((pid) => pid !== own)
      expect(others).toHaveLength(1)
      for (const pid of others) expect(await shell.run('kill', '-9', pid)).toMatchObject({ code: 0 })
      expect((await shell.run(...withoutProxy, 'curl', '-sS', `${url}still`)).got).toBe('contacts')
      expect(await shell.attempt('udp', nowhere.v4, 443)).toBe('EPERM')
    })
  })

  describe('of one run', () => {
    let other: Shell
    beforeAll(async () => {
      other = new Shell(world.start([...required, '/bin/sh']))
      await other.run('true')
    })

    it('cannot use the listener of another, nor can anybody outside', async () => {
      const token = (await shell.run('printenv', 'HTTPS_PROXY')).got
      const script = `const { port, username, password } = new URL(process.argv[1])
        const headers = { host: 'api.example.test', 'proxy-authorization': 'Basic ' + btoa(username + ':' + password) }
        require('http').get({ host: '127.0.0.1', port, path: 'http://api.example.test/', headers }, (a) => a.pipe(process.stdout))`
      const { got } = await other.run(process.execPath, '-e', script, token)
      expect(JSON.parse(got)).toMatchObject({ status: 407, reason: 'unidentified_caller' })
      for (const port of [15_001, 15_002, 15_053]) {
        const [error] = await once(connect(port, '127.0.0.1'), 'error')
        expect(error).toMatchObject({ code: 'ECONNREFUSED' })
      }
    })

    it('in which a right was handed on is let in by what it shows, and by that alone', async () => {
      const quietly = (...path: string[]) => [...withoutProxy, 'curl', '-sS', `${url}${path.join('')}`]
      expect((await other.run(...quietly('before'))).got).toBe('contacts')
      const delegate = [
        process.execPath,
        program,
        'delegate',
        '--scope',
        'crm.a',
        '--to',
        'spiffe://acme.example/agent/b',
      ]
      const child = await other.run(...delegate, '--', ...quietly('child'))
      expect(child.got).toContain('alert access denied')
      // What it leaves behind when it is over must not have all again, so nobody has.
      expect((await other.run(...quietly('after'))).got).toContain('alert access denied')
      expect((await other.run('curl', '-sS', `${url}shown`)).got).toBe('contacts')
      expect(world.asked().map(({ url }) => url)).toEqual(['/v1/before', '/v1/shown'])
    })

    it('ends by the signal that we get', async () => {
      other.exec.child.kill('SIGTERM')
      expect(await other.exec.ended).toBe(143)
    })

    it('whose proxy is killed is refused at once, and leaves nothing when it ends', async () => {
      const fifo = join(world.folder, 'lines')
      // Its standard input ends with the proxy, which is a child of ours.
      spawnSync('mkfifo', ['-m', '666', fifo])
      const run = world.start([...required, '/bin/sh', '-c', `exec /bin/sh < ${fifo}`])
      const killed = new Shell(run, createWriteStream(fifo))
      const command = await killed.pid()
      const inside = namespaceOf(command) ?? ''
      killed.exec.child.kill('SIGKILL')
      await once(killed.exec.child, 'exit')
      await vi.waitFor(() => expect(processesIn(inside)).toEqual([command]), 5_000)
      expect((await killed.run(...withoutProxy, 'curl', '-sS', url)).code).not.toBe(0)
      expect(await killed.attempt('tcp', '198.51.100.66', 443)).toBe('ECONNREFUSED')
      expect(await killed.attempt('dns', '198.51.100.66', 'api.example.test', 1)).toMatch(/^(ECONNREFUSED|EPERM)$/)
      killed.end()
      await vi.waitFor(() => expect(processesIn(inside)).toEqual([]), 5_000)
      expect(world.reached()).toEqual([])
    })
  })

  describe('with a port of the machine’s localhost', () => {
    /** Says what it got on 127.0.0.1 and ::1, having ended its own half before. */
    const asking = `import socket,sys
for host in ('127.0.0.1', '::1'):
  try:
    s = socket.create_connection((host, int(sys.argv[1])))
    s.sendall(b'asked'); s.shutdown(socket.SHUT_WR)
    print(s.makefile().read())
  except OSError as error: print(error.strerror)`
    const service = (host: string) =>
      createServer({ allowHalfOpen: true }, (socket) => {
        socket.on('data', () => {}).on('end', () => socket.end('answered'))
      }).listen(0, host)

    it('reaches that one by consent, whichever loopback it listens on, and no other', async () => {
      const [v4, v6, closed] = [service('127.0.0.1'), service('::1'), service('127.0.0.1')]
      await Promise.all([v4, v6, closed].map((each) => once(each, 'listening')))
      const ports = [v4, v6, closed].map((each) => String((each.address() as AddressInfo).port))
      const given = ports.flatMap((port) => ['--localhost', port])
      closed.close()
      const run = world.start([
        ...given,
        ...required,
        'sh',
        '-c',
        `for each; do ${python} -c "$0" $each; done`,
        asking,
        ...ports,
        String(world.apiPort),
      ])
      expect(await run.ended).toBe(0)
      const [refused, reset] = ['Connection refused', 'Connection reset by peer']
      expect(run.out.trim().split('\n')).toEqual([...Array(4).fill('answered'), reset, reset, refused, refused])
      expect(run.errors).toContain(`localhost is its own, but for port ${ports.join(', ')} (`)
      for (const each of [v4, v6]) each.close()
    })

    it.each([
      ['a port that the proxy has in there', '15001', 'the command finds the proxy there'],
      ['what is no port', '0', 'It is a port, 1 to 65535.'],
    ])('but not %s', async (_what, port, why) => {
      const run = world.start(['--localhost', port, '--', 'true'])
      expect(await run.ended).toBe(64)
      expect(run.errors).toContain(why)
    })
  })

  describe('is for its user as if we were not there', () => {
    it('with its user, folder and input, and nothing is left when it has ended', async () => {
      const files = () => readdirSync(join(world.folder, 'tmp'))
      const before = files()
      const run = world.start(['--', 'sh', '-c', 'id -u; pwd; readlink /proc/self/ns/net; cat; exit 23'])
      run.child.stdin.end('given\n')
      expect(await run.ended).toBe(23)
      const [uid, folder, inside = '', given] = run.out.split('\n')
      expect([uid, folder, given]).toEqual([String(ownUid), world.folder, 'given'])
      expect(run.errors).toBe(
        'postern: walled in: all that the command sends comes to the proxy; localhost is its own (--localhost PORT, --isolate=off).\n',
      )
      await vi.waitFor(() => expect(processesIn(inside)).toEqual([]), 5_000)
      expect(files()).toEqual(before)
    })

    it.runIf(whole)('with the exit codes for what cannot be run, and the words', async () => {
      writeFileSync(join(world.folder, 'plain'), 'text')
      chmodSync(join(world.folder, 'plain'), 0o644)
      const [none, plain] = [world.start([...required, 'no-such-program']), world.start([...required, './plain'])]
      expect(await Promise.all([none.ended, plain.ended])).toEqual([127, 126])
      expect(none.errors).toBe('postern: no-such-program: no such program\n')
      expect(plain.errors).toMatch(/^postern: \.\/plain: cannot be run \(.*EACCES\)\n$/)
    })

    it.runIf(whole)('with the signals that we get, and those that end it', async () => {
      const trapping = world.start([...required, 'sh', '-c', 'trap "echo got; exit 5" USR1; echo ready; read line'])
      const dying = world.start([...required, 'sh', '-c', 'echo ready; exec sleep 60'])
      await Promise.all([trapping.said(/ready/), dying.said(/ready/)])
      trapping.child.kill('SIGUSR1')
      dying.child.kill('SIGTERM')
      await trapping.said(/got/)
      expect(await Promise.all([trapping.ended, dying.ended])).toEqual([5, 143])
    })

    it.runIf(whole)('at a terminal, where Ctrl-C reaches it once (needs script)', async ({ skip }) => {
      const lacking = missing('script', ['script', '--version'])
      if (lacking !== undefined) return skip(lacking)
      const command = `trap 'echo interrupt' INT; tty; echo ready; while :; do read line && exit 5; done`
      const quoted = [process.execPath, ...posternArguments, 'exec', ...required, 'bash', '-c', command].map(
        (part) => `'${part.replaceAll("'", `'\\''`)}'`,
      )
      const terminal = spawn('script', ['-qec', `exec ${quoted.join(' ')}`, '/dev/null'], {
        ...user,
        cwd: world.folder,
        env: { PATH: searched, HOME: world.folder, TMPDIR: join(world.folder, 'tmp'), API_CANARY: canary },
      })
      let out = ''
      terminal.stdout.on('data', (chunk) => {
        out += chunk
      })
      await vi.waitFor(() => expect(out).toContain('ready'), 10_000)
      expect(out).toMatch(/\/dev\/(pts|tty)/)
      terminal.stdin.write('\x03')
      await vi.waitFor(() => expect(out).toContain('interrupt'), 10_000)
      terminal.stdin.write('\n')
      const [code] = await once(terminal, 'close')
      expect(code).toBe(5)
      expect(out.match(/interrupt/g)).toHaveLength(1)
    })
  })

  describe('that is never started', () => {
    /** Processes that were started in our folder, whatever they are. */
    const processes = () =>
      readdirSync('/proc').filter((name) => /^\d+$/.test(name) && linkOf(`/proc/${name}/cwd`) === world.folder)
    const left = (before: readonly string[]) => processes().filter((pid) => !before.includes(pid))

    it('since the configuration is wrong, leaves nothing behind', async () => {
      const before = processes()
      const run = world.start(['-c', 'missing.yaml', ...required, 'true'])
      expect(await run.ended).toBe(78)
      await vi.waitFor(() => expect(left(before)).toEqual([]), 5_000)
    })

    it.runIf(whole)('since the proxy was killed on the way, leaves nothing either', async () => {
      const before = processes()
      // Early, late, and between: what is left is looked at only afterwards.
      for (let milliseconds = 100; milliseconds <= 900; milliseconds += 100) {
        const run = world.start([...required, 'true'])
        const timer = setTimeout(() => run.child.kill('SIGKILL'), milliseconds)
        await run.ended
        clearTimeout(timer)
      }
      await vi.waitFor(() => expect(left(before)).toEqual([]), 5_000)
    })
  })

  describe('asked for', () => {
    it('where it cannot be had is refused with its name', async () => {
      const forbid = 'echo 0 > /proc/sys/user/max_user_namespaces && exec "$@"'
      const forbidding = ['unshare', '--user', '--map-current-user', '--keep-caps', 'sh', '-c', forbid, 'sh']
      const strict = world.start([...required, 'echo', 'ran'], forbidding)
      expect(await strict.ended).toBe(69)
      const why = 'unshare: unshare failed: No space left on device (user.max_user_namespaces is 0)'
      expect(strict.errors).toBe(`postern: isolation_unavailable: ${why}.\n`)
      expect(strict.out).toBe('')
      const lenient = world.start(['--', 'echo', 'ran'], forbidding)
      expect(await lenient.ended).toBe(0)
      expect(lenient.errors).toBe(
        `postern: not walled in: ${why}; what ignores the proxy variables reaches the network, without credentials.\n`,
      )
      expect(lenient.out).toBe('ran\n')
    })

    it.runIf(whole)('with no such word is wrong usage', async () => {
      expect(await world.start(['--isolate=yes', '--', 'true']).ended).toBe(64)
    })
  })
})

async function spawnAttempt([file = '', ...argv]: readonly string[]): Promise<string> {
  const child = spawn(file, argv, { ...user, stdio: ['ignore', 'pipe', 'inherit'] })
  return (await text(child.stdout)).trim()
}

/** Java is told of the proxy, and of whom to trust, in one variable. */
const javaWithoutProxy = [
  ...[
    'sh',
    '-c',
    'export JAVA_TOOL_OPTIONS="$(printenv JAVA_TOOL_OPTIONS | sed "s/-Dhttps*[.]proxy[^ ]*//g")"; exec "$@"',
  ],
  ...['sh', 'java'],
]

/** Speaks TLS over a socket that it opened itself, as a client that knows nothing but addresses and names. */
const rawClient = ({ hostname, port, pathname }: URL) => `import socket,ssl
s=ssl.create_default_context().wrap_socket(socket.create_connection(('${hostname}',${port})),server_hostname='${hostname}')
s.sendall(b'GET ${pathname} HTTP/1.1\\r\\nHost: ${hostname}:${port}\\r\\nConnection: close\\r\\n\\r\\n')
while True:
  b=s.recv(9999)
  if not b: break
  print(b)`
