import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { canonicalHost } from '../../../proxy/capture/target.ts'
import { AllowedRanges } from '../../../proxy/forward/address.ts'
import { destinationSchema, resolveSchema } from '../../../proxy/forward/settings.ts'

function problems(destination: object): string[] {
  const { error } = destinationSchema.safeParse({ hosts: ['a.example'], ...destination })
  return (error?.issues ?? []).map(({ path, message }) => `${path.join('.')}: ${message}`)
}

const hostProblem = (host: string) => problems({ hosts: [host] })[0]

describe('a host', () => {
  it.each([
    ['', 'not a host name'],
    ['.', 'not a host name'],
    ['a..b', 'not a host name'],
    ['-a.example', 'not a host name'],
    [`${'a'.repeat(64)}.example`, 'not a host name'],
    [`${'a.'.repeat(130)}example`, 'not a host name'],
    ['a b', 'not a host name'],
    ['a%2eexample', 'not a host name'],
    ['user@a.example', 'not a host name'],
    ['a.example/path', 'not a host name'],
    ['https://a.example/path', 'a host is named without scheme and path'],
    ['a.example:443', 'a host is named without its port, which goes into `ports`'],
    ['*', 'a destination names its hosts; there is no pattern for all of them'],
    ['a.*.example', 'a `*` stands only in front, as in *.example.com'],
    ['*a.example', 'a `*` stands only in front, as in *.example.com'],
    ['*.*.example', 'a `*` stands only once, in front'],
    ['*.10.0.0.1', 'an address has no names below it'],
    ['0x7f.1', 'an address is written in plain dotted decimal'],
    ['0x7f.1.', 'an address is written in plain dotted decimal'],
    ['127.1', 'an address is written in plain dotted decimal'],
    ['2130706433', 'an address is written in plain dotted decimal'],
    ['010.0.0.1', 'an address is written in plain dotted decimal'],
    ['１２７.0.0.1', 'an address is written in plain dotted decimal'],
    ['127.0.0.１', 'an address is written in plain dotted decimal'],
    ['::ffff:127.0.0.1', 'an IPv4 address is written in plain dotted decimal'],
    ['::10.0.0.1', 'an IPv4 address is written in plain dotted decimal'],
    ['fe80::1%eth0', 'an address is written without its zone'],
  ])('is not %j', (host, problem) => {
    expect(hostProblem(host)).toBe(`hosts.0: ${problem}`)
  })

  it.each([
    ['API.Crm.Example', 'api.crm.example'],
    ['api.crm.example.', 'api.crm.example'],
    ['Bücher.example', 'xn--bcher-kva.example'],
    ['*.Search.example', '*.search.example'],
    ['a_b.example', 'a_b.example'],
    ['localhost', 'localhost'],
    ['10.0.0.1', '10.0.0.1'],
    ['2001:DB8:0:0::1', '2001:db8::1'],
    ['[2001:DB8::1]', '2001:db8::1'],
  ])('%s is matched as %s', (written, canonical) => {
    expect(destinationSchema.parse({ hosts: [written] }).hosts).toEqual([canonical])
  })

  it('suggests the host inside a URL', () => {
    const { error } = destinationSchema.safeParse({ hosts: ['https://api.crm.example:8443/v1'] })
    expect(error?.issues[0]).toMatchObject({ params: { nearest: 'api.crm.example' } })
  })

  it('in its canonical form is the same for requests, so that what is written here can match at all', () => {
    const host = fc.oneof(fc.domain(), fc.ipV4(), fc.ipV6(), fc.string({ unit: fc.constantFrom(...'aB0x.-_:[]%') }))
    fc.assert(
      fc.property(host, (written) => {
        const read = destinationSchema.safeParse({ hosts: [written] })
        const [canonical = ''] = read.success ? read.data.hosts : []
        if (canonical === '' || canonical.startsWith('*.')) return
        expect(canonicalHost(canonical.includes(':') ? `[${canonical}]` : canonical)).toBe(canonical)
      }),
      { numRuns: 1_000 },
    )
  })
})

describe('a range of addresses', () => {
  it.each([
    ['0.0.0.0/0', 'wider than any private range (at least /8); name the ranges that are meant'],
    ['0.0.0.0/7', 'wider than any private range (at least /8); name the ranges that are meant'],
    ['::/0', 'wider than any private range (at least /7); name the ranges that are meant'],
    ['::/64', 'this range holds every IPv4 address, as ::ffff:0:0/96; write the ranges that are meant as IPv4'],
    ['100::/7', 'this range holds every IPv4 address, as ::ffff:0:0/96; write the ranges that are meant as IPv4'],
    ['10.0.0.0/33', 'a prefix has at most 32 bits'],
    ['fd00::/129', 'a prefix has at most 128 bits'],
    ['10.0.0.0/', 'not a range such as 10.20.0.0/16 or fd12::/48'],
    ['10.0.0.0/-8', 'not a range such as 10.20.0.0/16 or fd12::/48'],
    ['10.0.0.0/8/8', 'not a range such as 10.20.0.0/16 or fd12::/48'],
    ['10.0.0/24', 'not a range such as 10.20.0.0/16 or fd12::/48'],
    ['private', 'not a range such as 10.20.0.0/16 or fd12::/48'],
    ['::ffff:10.0.0.0/104', 'an IPv4 address is written in plain dotted decimal'],
  ])('is not %s', (range, problem) => {
    expect(problems({ addresses: [range] })).toEqual([`addresses.0: ${problem}`])
  })

  it('is what the address guard reads', () => {
    const { addresses } = destinationSchema.parse({
      hosts: ['a.example'],
      addresses: ['10.20.0.0/16', 'FD12::/48', '192.168.1.7', '::1', '169.254.169.254/32'],
    })
    expect(addresses).toEqual(['10.20.0.0/16', 'fd12::/48', '192.168.1.7', '::1', '169.254.169.254/32'])
    const allowed = new AllowedRanges(addresses)
    for (const address of ['10.20.3.4', 'fd12::9', '192.168.1.7', '::1', '169.254.169.254']) {
      expect([address, allowed.verdict(address).allowed]).toEqual([address, true])
    }
    expect(allowed.verdict('10.21.0.1').allowed).toBe(false)
  })

  it('never switches the guard off, whatever is written', () => {
    const range = fc.oneof(
      fc.tuple(fc.ipV4(), fc.nat(40)).map(([ip, bits]) => `${ip}/${bits}`),
      fc.tuple(fc.ipV6(), fc.nat(140)).map(([ip, bits]) => `${ip}/${bits}`),
      fc.string(),
    )
    fc.assert(
      fc.property(range, (written) => {
        const read = destinationSchema.safeParse({ hosts: ['a.example'], addresses: [written] })
        if (!read.success) return
        const allowed = new AllowedRanges(read.data.addresses)
        const reached = ['10.0.0.1', '127.0.0.1', '172.16.0.1', '192.168.0.1', 'fd00::1', 'fe80::1'].filter(
          (address) => allowed.verdict(address).allowed,
        )
        expect(reached.length).toBeLessThanOrEqual(1)
      }),
      { numRuns: 1_000 },
    )
  })
})

describe('a destination', () => {
  it.each([
    ['without hosts', { hosts: [] }, 'hosts: a destination names at least one host; empty means nowhere'],
    ['with a host twice', { hosts: ['a.example', 'A.example.'] }, 'hosts: a host stands twice'],
    ['without ports', { ports: [] }, 'ports: a destination has at least one port'],
    ['with a port twice', { ports: [443, 443] }, 'ports: a port stands twice'],
    ['opaque, without ports', { protocol: 'opaque' }, 'ports: an opaque destination names its ports'],
    [
      'opaque, with a certificate to show',
      { protocol: 'opaque', ports: [1], clientCertificate: 'svid' },
      'clientCertificate: TLS is the agent’s own where a destination is opaque',
    ],
    [
      'opaque, with an ID to prove',
      { protocol: 'opaque', ports: [1], spiffeId: 'spiffe://acme.example/a' },
      'spiffeId: TLS is the agent’s own where a destination is opaque',
    ],
    [
      'over http, with a certificate to show',
      { protocol: 'http', clientCertificate: { certificate: '/c', key: '${file:/k}' } },
      'clientCertificate: there is no TLS over http',
    ],
    [
      'with an ID to prove, and authorities that would have no say',
      { spiffeId: 'spiffe://acme.example/a', ca: ['/ca.pem'] },
      'ca: has no effect beside `spiffeId`, which is verified against the bundle of its trust domain',
    ],
    [
      'that must be a whole trust domain',
      { spiffeId: 'spiffe://acme.example' },
      'spiffeId: not the SPIFFE ID of a workload: the path is missing',
    ],
  ])('%s', (_what, destination, problem) => {
    expect(problems(destination)).toEqual([problem])
  })

  it.each([
    [{}, [443]],
    [{ protocol: 'http' }, [80]],
    [{ protocol: 'http', ports: [8080] }, [8080]],
    [{ protocol: 'opaque', ports: [5432] }, [5432]],
  ])('%j has the ports %j', (destination, ports) => {
    expect(destinationSchema.parse({ hosts: ['a.example'], ...destination }).ports).toEqual(ports)
  })

  it('waits for as long as is said, and a bounded time otherwise', () => {
    const { timeouts } = destinationSchema.parse({ hosts: ['a.example'], timeouts: { headers: '2m' } })
    expect(timeouts).toEqual({ connect: 10_000, headers: 120_000, idle: 300_000 })
  })
})

describe('names answered from the configuration', () => {
  it('are made canonical, as their addresses are', () => {
    expect(resolveSchema.parse({ 'API.example.': ['127.0.0.1', '0:0::1'] })).toEqual({
      'api.example': ['127.0.0.1', '::1'],
    })
  })

  it.each([
    [{ 'a.example': [] }, 'a name needs at least one address'],
    [{ 'a.example': ['127.1'] }, 'not an IPv4 or IPv6 address'],
    [{ 'a.example': ['b.example'] }, 'not an IPv4 or IPv6 address'],
  ])('%j is refused', (resolve, problem) => {
    expect(resolveSchema.safeParse(resolve).error?.issues[0]?.message).toBe(problem)
  })
})
