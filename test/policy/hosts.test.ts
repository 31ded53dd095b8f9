import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { HostIndex, type PolicyDestination, serves } from '../../policy/hosts.ts'

const destination = (name: string, hosts: string[], rest: Partial<PolicyDestination> = {}): PolicyDestination => ({
  name,
  hosts,
  ports: [443],
  protocol: 'https',
  ...rest,
})
const namesAt = (index: HostIndex, host: string) => index.at(host).map(({ name }) => name)

describe('the index of hosts', () => {
  const index = new HostIndex([
    destination('any', ['*.example']),
    destination('crm', ['api.crm.example', '*.crm.example']),
    destination('address', ['10.0.0.1', 'fd00::1']),
  ])

  it.each([
    ['example', []],
    ['notexample', []],
    ['crm.example', ['any']],
    ['api.crm.example', ['crm', 'any']],
    ['a.b.crm.example', ['crm', 'any']],
    ['example.com', []],
    ['10.0.0.1', ['address']],
    ['0.0.1', []],
    ['fd00::1', ['address']],
    ['', []],
    ['.example', ['any']],
  ])('finds for %j, the most specific first: %j', (host, names) => {
    expect(namesAt(index, host)).toEqual(names)
  })

  it('finds what looking at every destination finds', () => {
    const label = fc.constantFrom('a', 'b', 'ab')
    const host = fc.array(label, { minLength: 1, maxLength: 4 }).map((labels) => labels.join('.'))
    const pattern = fc.tuple(fc.boolean(), host).map(([wildcard, name]) => (wildcard ? `*.${name}` : name))
    fc.assert(
      fc.property(fc.array(fc.array(pattern, { minLength: 1, maxLength: 3 }), { maxLength: 6 }), host, (all, asked) => {
        const destinations = all.map((hosts, number) => destination(`d${number}`, hosts))
        const expected = destinations
          .filter(({ hosts }) =>
            hosts.some((each) => (each.startsWith('*.') ? asked.endsWith(each.slice(1)) : each === asked)),
          )
          .map(({ name }) => name)
        expect(namesAt(new HostIndex(destinations), asked).toSorted()).toEqual(expected.toSorted())
      }),
      { numRuns: 2_000 },
    )
  })
})

describe('a destination', () => {
  const request = { method: 'GET', scheme: 'https', port: 443 } as const

  it('serves its own ports and its own protocol alone', () => {
    const https = destination('x', ['x'])
    expect(serves(https, request)).toBe(true)
    expect(serves(https, { ...request, port: 80 })).toBe(false)
    expect(serves(https, { ...request, scheme: 'http' })).toBe(false)
    expect(serves(https, { ...request, method: 'CONNECT' })).toBe(false)
  })

  it('that is opaque serves tunnels alone', () => {
    const opaque = destination('x', ['x'], { protocol: 'opaque' })
    expect(serves(opaque, { ...request, method: 'CONNECT' })).toBe(true)
    expect(serves(opaque, request)).toBe(false)
    expect(serves(opaque, { ...request, scheme: 'http' })).toBe(false)
  })
})
