// The whole of `postern delegate`, as one user on one machine: below `postern exec`, one hop and three, with a real API.
import { spawn } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest'
import { kernelFacts } from '../../proxy/identify/kernel/facts.ts'
import type { AuditRecord } from '../../proxy/record/line.ts'
import { type Postern, type Workplace, workplace } from '../support/postern.ts'
import { httpUpstream } from '../support/upstream.ts'
import { whyNot } from './exec/isolated.ts'

const program = fileURLToPath(new URL('../../cli/postern.js', import.meta.url))
/** Root may look everywhere, so as root everything here runs as somebody else. */
const user = process.getuid?.() === 0 ? { uid: 65534, gid: 65534 } : undefined
const { limit } = kernelFacts()
const planner = 'spiffe://acme.example/planner'
const researcher = `${planner}/researcher`

let upstream: Awaited<ReturnType<typeof httpUpstream>>
let place: Workplace

beforeAll(async () => {
  upstream = await httpUpstream((request, response) => response.end(`${request.method} ${request.url}\n`))
})
afterAll(() => upstream.close())

beforeEach(async () => {
  place = await workplace(
    {
      'postern.yaml': `version: 1
trustDomain: acme.example
exec: { agent: ${planner} }
records: { to: ./records.jsonl }
resolve: { api.example: [127.0.0.1] }
delegation:
  grants: [{ agents: [${planner}], scopes: ["crm.*"] }]
destinations:
  api: { hosts: [api.example], protocol: http, ports: [${upstream.port}], addresses: [127.0.0.0/8] }
rules:
  - name: read-contacts
    allow: { agents: [${planner}, "${planner}/*"], to: api, methods: [GET], paths: [/contacts/**] }
    requires: [crm.contacts.read]
`,
    },
    user,
  )
})
afterEach(() => place[Symbol.asyncDispose]())

const api = (path: string) => `http://api.example:${upstream.port}${path}`

/** A script below `postern exec`, in which `postern` and `get` are commands. @param wall the option that says whether it is walled in */
function script(lines: string, wall = '--isolate=off'): Postern {
  const prelude = `postern() { "${process.execPath}" "${program}" "$@"; }
postern_=("${process.execPath}" "${program}")
get() { curl -s --max-time 20 "$@"; }
`
  return place.start(['exec', '--quiet', wall, '--', 'bash', '-c', prelude + lines])
}

async function finished(run: Postern): Promise<{ code: number | string; out: string; errors: string }> {
  run.child.stdin.end()
  const code = await run.ended
  return { code, out: run.out, errors: run.errors }
}

const records = (): AuditRecord[] =>
  readFileSync(join(place.path, 'records.jsonl'), 'utf8')
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line))
const requestsTo = (path: string) =>
  records().filter(({ kind, request }) => kind === 'request' && request?.path === path)
const handoffs = () => records().flatMap(({ delegation }) => delegation ?? [])

describe('what is asked wrongly', () => {
  it.each([
    ['no scope', ['--to', researcher], 'crm', 64],
    ['a bound that is none', ['--scope', 'crm.a', '--constraint', 'host=x'], 'KEY:TYPE=VALUE', 64],
    ['a bound of a type that there is not', ['--scope', 'crm.a', '--constraint', 'host:like=x'], 'not like', 64],
    ['a duration beyond an hour', ['--scope', 'crm.a', '--ttl', '2h'], '1s to 1h', 64],
    ['no proxy', ['--scope', 'crm.a'], 'no proxy to ask', 64],
    ['a proxy that is none', ['--scope', 'crm.a', '--proxy', 'nowhere'], 'no URL', 64],
    ['a proxy in TLS', ['--scope', 'crm.a', '--proxy', 'https://127.0.0.1:1'], 'http: or unix:', 64],
    ['a proxy that is not there', ['--scope', 'crm.a', '--proxy', 'http://127.0.0.1:1'], 'cannot be asked', 69],
    ['a command behind a socket', ['--scope', 'crm.a', '--proxy', 'unix:///nowhere', 'true'], 'Delegation-Ref', 64],
    [
      'a token that is not there',
      ['--scope', 'crm.a', '--proxy', 'http://127.0.0.1:1', '--subject-token-file', 'x'],
      'ENOENT',
      66,
    ],
  ])('%s is said', async (what, argv, said, code) => {
    const run = await finished(place.start(['delegate', ...argv]))
    expect([run.code, run.out]).toEqual([code, ''])
    if (what !== 'no scope') expect(run.errors).toContain(said)
  })

  it('what the proxy refuses is told with its reason and what to do next, and the command is not run', async () => {
    const run = await finished(script(`postern delegate --scope erp.read --to ${researcher} -- echo ran; echo $?`))
    expect(run.out).toBe('77\n')
    expect(run.errors).toContain('(delegation_not_granted)')
    expect(run.errors).toMatch(/Request [0-9a-f-]{36}/)
    expect(handoffs()).toMatchObject([{ event: 'delegation.denied', to: { spiffe_id: researcher } }])
  })
})

describe.skipIf(limit !== undefined)(`below exec${limit === undefined ? '' : ` (skipped: ${limit})`}`, () => {
  const walls = [['--isolate=off'], ['--isolate=auto']]

  it.each(walls)('%s: the command acts as the child, with its scopes and no more', async (wall) => {
    const run = await finished(
      script(
        `
get ${api('/contacts/0')} | tr -d ' ' | grep -o '"reason":"[a-z_]*"'
postern delegate --scope crm.contacts.read --to ${researcher} -- curl -s ${api('/contacts/1')}
postern delegate --scope crm.contacts.list --to ${researcher} -- curl -s ${api('/contacts/2')} | grep -o '"reason":"[a-z_]*"'
postern delegate --scope crm.contacts.read --to ${researcher} --constraint path:prefix=/contacts/acme -- \\
  curl -s ${api('/contacts/3')} | grep -o '"reason":"[a-z_]*"'`,
        wall,
      ),
    )
    expect(run.errors).toBe('')
    expect(run.out.split('\n')).toEqual([
      '"reason":"no_rule"',
      'GET /contacts/1',
      '"reason":"no_rule"',
      '"reason":"chain_ceiling_exceeded"',
      '',
    ])
    const [record] = requestsTo('/contacts/1')
    const namespace = wall === '--isolate=auto' && whyNot() === undefined ? ['namespace'] : []
    expect(record).toMatchObject({
      caller: { spiffe_id: researcher, attested: planner, proofs: [...namespace, 'kernel', 'delegation'] },
      chain: [
        { id: planner, scopes: ['crm.*'] },
        { id: researcher, scopes: ['crm.contacts.read'] },
      ],
      decision: { verdict: 'allow', rule: 'read-contacts' },
    })
    expect(record?.txn).toBeTruthy()
    const [lacking] = requestsTo('/contacts/2')
    expect(lacking?.refusal?.detail).toContain(`hop 2 (${researcher}) lacks crm.contacts.read`)
  })

  it.each(walls)('%s: three hops, a delegate inside a delegate inside a delegate', async (wall) => {
    const run = await finished(
      script(
        `postern delegate --scope 'crm.*' --to ${researcher} --max-depth 3 -- \\
  "\${postern_[@]}" delegate --scope crm.contacts.read --to ${researcher}/reader -- curl -s ${api('/contacts/1')}`,
        wall,
      ),
    )
    expect([run.errors, run.out]).toEqual(['', 'GET /contacts/1\n'])
    const [record] = requestsTo('/contacts/1')
    expect(record?.chain?.map(({ id }) => id)).toEqual([planner, researcher, `${researcher}/reader`])
    expect(handoffs().map(({ event, to }) => [event, to.spiffe_id])).toEqual([
      ['delegation.created', planner],
      ['delegation.created', researcher],
      ['delegation.created', `${researcher}/reader`],
      ['delegation.revoked', `${researcher}/reader`],
      ['delegation.revoked', researcher],
    ])
  })

  it('nothing in the environment of the command leads past the child, or carries on what the agent proves itself by', async () => {
    const run = await finished(
      script(`
export npm_config_proxy=$HTTPS_PROXY MY_PROXY=$HTTPS_PROXY
echo "$HTTPS_PROXY"
postern delegate --scope crm.contacts.read --to ${researcher} -- env`),
    )
    const [own = '', ...lines] = run.out.split('\n')
    const { password, host } = new URL(own)
    expect(lines.join('\n')).not.toContain(password)
    const variables = new Map(
      lines.map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]),
    )
    const names = ['http_proxy', 'HTTP_PROXY', 'https_proxy', 'HTTPS_PROXY', 'all_proxy', 'ALL_PROXY']
    expect(new Set(names.map((name) => variables.get(name))).size).toBe(1)
    expect(new URL(variables.get('https_proxy') ?? '')).toMatchObject({ username: 'delegation', host })
    expect(variables.get('NODE_USE_ENV_PROXY')).toBe('1')
    expect(variables.get('NO_PROXY')).toBe('localhost,127.0.0.1')
    expect(variables.get('SSL_CERT_FILE')).toContain('combined.pem')
    expect([variables.has('npm_config_proxy'), variables.has('MY_PROXY')]).toEqual([false, false])
  })

  it('the handle is worth nothing to a neighbour', async () => {
    const run = script(`
postern delegate --scope crm.contacts.read --to ${researcher} -- bash -c 'echo "$HTTPS_PROXY"; read line' <&0 &
wait`)
    const lines = createInterface({ input: run.child.stdout })[Symbol.asyncIterator]()
    const { value: proxy = '' } = await lines.next()
    const neighbour = spawn('curl', ['-s', '--proxy', proxy, api('/contacts/stolen')], {
      ...user,
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    expect(JSON.parse(await text(neighbour.stdout))).toMatchObject({ reason: 'unidentified_caller' })
    run.child.stdin.end('\n')
    expect(await run.ended).toBe(0)
    expect(requestsTo('/contacts/stolen')[0]?.refusal?.detail).toContain('does not descend from the command')
  })

  it('it is worth nothing to siblings of the command, nor after it', async () => {
    const run = await finished(
      script(`
mkfifo handle go
postern delegate --scope crm.contacts.read --to ${researcher} -- bash -c 'echo "$HTTPS_PROXY" > handle; cat go' &
read -r proxy < handle
get --proxy "$proxy" ${api('/contacts/sibling')} | grep -o '"reason":"[a-z_]*"'
echo > go; wait
get --proxy "$proxy" ${api('/contacts/late')} | grep -o '"reason":"[a-z_]*"'`),
    )
    const [sibling, , late] = run.out.split('\n')
    expect(sibling).toBe('"reason":"chain_holder_binding_failed"')
    expect(['"reason":"chain_holder_binding_failed"', '"reason":"chain_revoked"']).toContain(late)
    expect(requestsTo('/contacts/sibling')[0]?.refusal?.detail).toContain('does not descend from process')
  })

  it('without a command, the shell that asked and what it starts hold it', async () => {
    const run = await finished(
      script(`
made=$("\${postern_[@]}" delegate --scope crm.contacts.read --to ${researcher})
eval "$made"
get ${api('/contacts/1')}
bash -c "curl -s ${api('/contacts/2')}"
postern delegate --scope crm.contacts.read --to ${researcher}/b --json | grep -oE '"(max_)?depth":[0-9]+'`),
    )
    expect(run.out.split('\n')).toEqual(['GET /contacts/1', 'GET /contacts/2', '"depth":2', '"max_depth":3', ''])
    expect(requestsTo('/contacts/2')[0]?.caller?.spiffe_id).toBe(researcher)
  })

  it('standard streams, the exit code and signals are the command’s', async () => {
    const run = script(
      `postern delegate --scope crm.a --to ${researcher} -- bash -c 'read line; echo got $line; exit 23'; echo $?
exec "\${postern_[@]}" delegate --scope crm.a --to ${researcher} -- bash -c 'trap "echo ended; exit 9" TERM; echo ready; while :; do sleep 0.05; done'`,
    )
    run.child.stdin.write('this\n')
    const lines = createInterface({ input: run.child.stdout })[Symbol.asyncIterator]()
    const said = async () => (await lines.next()).value
    expect([await said(), await said(), await said()]).toEqual(['got this', '23', 'ready'])
    run.child.kill('SIGTERM')
    expect(await said()).toBe('ended')
    expect(await run.ended).toBe(9)
    expect(handoffs().filter(({ event }) => event === 'delegation.revoked')).toHaveLength(2)
  })

  it('a program that there is not: 127, and the delegation is given back', async () => {
    const run = await finished(script(`postern delegate --scope crm.a --to ${researcher} -- /no/such/program; echo $?`))
    expect(run.out).toBe('127\n')
    expect(handoffs().at(-1)?.event).toBe('delegation.revoked')
  })
})

describe.skipIf(limit !== undefined)('beside a proxy that runs as a service', () => {
  /** @returns the proxy, with what is told of a caller on this machine by the kernel */
  async function service(address: string): Promise<Postern> {
    writeFileSync(
      join(place.path, 'run.yaml'),
      `version: 1
trustDomain: acme.example
listen:
  - { name: agents, address: "${address}", accept: http-proxy, callers: [kernel], agent: ${planner} }
records: { to: ./records.jsonl }
resolve: { api.example: [127.0.0.1] }
delegation:
  grants: [{ agents: [${planner}], scopes: ["crm.*"] }]
destinations:
  api: { hosts: [api.example], protocol: http, ports: [${upstream.port}], addresses: [127.0.0.0/8] }
rules:
  - name: read-contacts
    allow: { agents: ["${planner}/*"], to: api, methods: [GET] }
    requires: [crm.contacts.read]
`,
    )
    const run = place.start(['run', '-c', 'run.yaml'])
    await run.told('ready')
    return run
  }

  it('the kernel says who asks, and the command acts as the child', async () => {
    const proxy = `http://127.0.0.1:${await (await service('127.0.0.1:0')).port()}`
    const argv = [
      'delegate',
      '--scope',
      'crm.contacts.read',
      '--to',
      researcher,
      '--',
      'curl',
      '-s',
      api('/contacts/1'),
    ]
    const run = await finished(place.start(argv, { HTTPS_PROXY: proxy }))
    expect([run.errors, run.out, run.code]).toEqual(['', 'GET /contacts/1\n', 0])
    await vi.waitFor(() => expect(requestsTo('/contacts/1')[0]?.caller?.spiffe_id).toBe(researcher))
  })

  it('the token of a user is shown, and refused where no sign-in server is believed', async () => {
    const proxy = `http://127.0.0.1:${await (await service('127.0.0.1:0')).port()}`
    writeFileSync(join(place.path, 'token'), 'a.b.c\n')
    const argv = ['delegate', '--scope', 'crm.a', '--subject-token-file', 'token', '--proxy', proxy, '--json']
    const run = await finished(place.start(argv))
    expect([run.out, run.code]).toEqual(['', 77])
    expect(run.errors).toMatch(/\(user_token_[a-z_]+\)/)
    expect(run.errors).not.toContain('a.b.c')
  })

  it('at a UNIX socket the handle is printed, to be sent in a field', async () => {
    const socket = `unix://${join(place.path, 'agents.sock')}`
    await service(socket)
    const run = await finished(place.start(['delegate', '--scope', 'crm.a', '--proxy', socket]))
    expect(run.errors).toBe('')
    expect(run.out).toMatch(/^# .* held by process \d+ of .*\nexport DELEGATION_REF='[A-Za-z0-9_-]{43}'\n$/)
  })
})
