import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { listenSchema } from '../../../proxy/capture/settings.ts'

const local = {
  name: 'agents',
  address: '127.0.0.1:15001',
  accept: 'http-proxy',
  callers: ['kernel'],
  agent: 'spiffe://acme.example/a',
}
const mesh = { name: 'mesh', address: '0.0.0.0:15002', accept: 'https-proxy', callers: ['x509-svid'] }

function problems(listener: object): string[] {
  const { error } = listenSchema.safeParse([listener])
  return (error?.issues ?? []).map(({ path, message }) => `${path.slice(1).join('.')}: ${message}`)
}

describe('the address of a listener', () => {
  it.each([
    '',
    'x',
    '15001',
    ':15001',
    '127.0.0.1',
    '127.0.0.1:',
    '127.0.0.1:65536',
    '127.0.0.1:-1',
    '127.1:80',
    '0x7f000001:80',
    '::1:80',
    '[127.0.0.1]:80',
    '[::1]',
    '[fe80::1%eth0]:80',
    'localhost:80',
    'http://127.0.0.1:80',
    ' 127.0.0.1:80',
    'unix://run/a.sock',
    'unix:///',
    'unix:///run/',
    'unix:///a\0b',
    `unix:///${'a'.repeat(107)}`,
    '/run/a.sock',
  ])('is not %j', (address) => {
    expect(problems({ ...local, address })).toEqual([
      'address: not an address such as 127.0.0.1:15001, [::1]:0 or unix:///run/postern/agents.sock',
    ])
  })

  it.each([
    ['127.0.0.1:15001', { kind: 'tcp', host: '127.0.0.1', port: 15_001 }],
    ['[::1]:0', { kind: 'tcp', host: '::1', port: 0 }],
    ['[0:0::1]:0', { kind: 'tcp', host: '::1', port: 0 }],
    ['unix:///run/postern/agents.sock', { kind: 'unix', path: '/run/postern/agents.sock' }],
    [`unix:///${'a'.repeat(106)}`, { kind: 'unix', path: `/${'a'.repeat(106)}` }],
  ])('can be %s', (address, read) => {
    expect(listenSchema.parse([{ ...local, address }])[0]?.address).toEqual(read)
  })

  it('is one that can be listened on, or refused', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.ipV4(),
          fc.ipV6().map((ip) => `[${ip}]`),
        ),
        fc.oneof(fc.nat(70_000), fc.string()),
        (host, port) => {
          const read = listenSchema.safeParse([{ ...mesh, address: `${host}:${port}` }])
          if (!read.success) return
          const address = read.data[0]?.address
          expect(
            address?.kind === 'tcp' &&
              address.port <= 65_535 &&
              URL.canParse(`http://${address.host.includes(':') ? `[${address.host}]` : address.host}:${address.port}`),
          ).toBe(true)
        },
      ),
    )
  })
})

describe('a listener that contradicts itself', () => {
  it.each([
    [
      'without TLS beyond this machine',
      { ...local, address: '0.0.0.0:15001' },
      'address: http-proxy listens on loopback or a UNIX socket only; use https-proxy beyond this machine',
    ],
    [
      'with SVIDs but without TLS',
      { ...local, callers: ['x509-svid'], agent: undefined },
      'callers: x509-svid is proved in TLS, so only https-proxy can accept it',
    ],
    [
      'that asks for certificates and does not accept them',
      { ...mesh, callers: [] },
      'callers: https-proxy is for callers who prove who they are by x509-svid, jwt-svid or kubernetes-token',
    ],
    [
      'with the kernel as witness of nobody',
      { ...local, agent: undefined },
      'callers: kernel tells a user id, no identity; name `agent` or `uids`',
    ],
    [
      'with a token that anybody could have read, and no word of the kernel',
      { ...local, callers: ['jwt-svid'], agent: undefined },
      'callers: jwt-svid counts without TLS only where the kernel confirms it; name `agent` or `uids`',
    ],
    [
      'with a token inside TLS and users that nothing asks for',
      { ...mesh, callers: ['jwt-svid'], uids: { 1000: 'spiffe://acme.example/a' } },
      'uids: has no effect unless callers include kernel',
    ],
    [
      'with an agent that nothing proves',
      { ...local, callers: [] },
      'agent: has no effect unless callers include kernel',
    ],
    [
      'with users that nothing proves',
      { ...mesh, uids: { 1000: 'spiffe://acme.example/a' } },
      'uids: has no effect unless callers include kernel',
    ],
    [
      'with programs that nothing proves',
      { ...mesh, executables: { '/bin/a': 'spiffe://acme.example/a' } },
      'executables: has no effect unless callers include kernel',
    ],
    [
      'with a program that has no whole path',
      { ...local, executables: { 'bin/a': 'spiffe://acme.example/a' } },
      'executables.bin/a: Invalid key in record',
    ],
    [
      'with a container that hardly has an id',
      { ...local, containers: { '0123456789a': 'spiffe://acme.example/a' } },
      'containers.0123456789a: Invalid key in record',
    ],
    [
      'with a container that is two agents',
      {
        ...local,
        containers: { '0123456789ab': 'spiffe://acme.example/a', '0123456789abc': 'spiffe://acme.example/b' },
      },
      'containers.0123456789abc: another entry is the beginning of this one',
    ],
    ['with a proof twice', { ...mesh, callers: ['x509-svid', 'x509-svid'] }, 'callers: a proof stands twice'],
    [
      'with an agent that is a trust domain',
      { ...local, agent: 'spiffe://acme.example' },
      'agent: not the SPIFFE ID of a workload: the path is missing',
    ],
    [
      'with a user by name',
      { ...local, uids: { root: 'spiffe://acme.example/a' } },
      'uids.root: Invalid key in record',
    ],
  ])('%s', (_what, listener, problem) => {
    expect(problems(listener)).toEqual([problem])
  })
})

it('empty callers mean nobody, and are no mistake', () => {
  expect(problems({ ...local, callers: [], agent: undefined })).toEqual([])
})

it('users and a common identity go together', () => {
  expect(listenSchema.parse([{ ...local, uids: { 1000: 'spiffe://acme.example/b' } }])[0]).toMatchObject({
    agent: 'spiffe://acme.example/a',
    uids: { 1000: 'spiffe://acme.example/b' },
  })
})

describe('a listener for redirected connections', () => {
  const pod = {
    name: 'pod',
    address: '127.0.0.1:15001',
    accept: 'redirected',
    callers: ['kernel'],
    uids: { 1000: 'spiffe://acme.example/a' },
  }

  it.each(['127.0.0.1:15001', '[::1]:15001', '0.0.0.0:15001', '[::]:15001'])('stands at %s', (address) => {
    expect(problems({ ...pod, address })).toEqual([])
  })

  it.each([
    [{ address: '10.0.0.2:15001' }, 'address: redirected connections come to 127.0.0.1 and ::1, so listen there'],
    [{ address: 'unix:///run/a.sock' }, 'address: redirected connections come to 127.0.0.1 and ::1, so listen there'],
    [{ address: '127.0.0.1:0' }, 'address: the rules redirect to a port, so it must be a fixed one'],
    [
      { callers: ['kernel', 'jwt-svid'] },
      'callers: nobody can show anything on a redirected connection; only kernel counts there',
    ],
    [{ uids: undefined }, 'callers: kernel tells a user id, no identity; name `agent` or `uids`'],
  ])('is refused with %j', (change, problem) => {
    expect(problems({ ...pod, ...change })).toEqual([problem])
  })
})
