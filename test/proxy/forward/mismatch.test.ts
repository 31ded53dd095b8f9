import { expect, it } from 'vitest'
import { canonicalHost } from '../../../proxy/capture/target.ts'
import type { Connection } from '../../../proxy/exchange.ts'
import { mismatch } from '../../../proxy/forward/mismatch.ts'

const target = { host: canonicalHost('api.example') }

function connection(original?: Connection['original']): Connection {
  return {
    id: 'c',
    listener: 'pod',
    accept: 'redirected',
    transport: 'tcp',
    remoteAddress: '10.0.0.2',
    remotePort: 40_000,
    localAddress: '127.0.0.1',
    localPort: 15_001,
    peerCertificates: [],
    proxyAuthorization: undefined,
    ...(original === undefined ? {} : { original }),
  }
}

it('an address that is none of the host’s is a finding that says which', () => {
  const there = connection({ address: '198.51.100.9', port: 443, names: ['other.example'] })
  expect(mismatch(there, target, ['203.0.113.7'])).toEqual([
    { kind: 'address_mismatch', where: 'connection', note: 'connected to 198.51.100.9' },
  ])
})

it('one of several addresses of the host is none', () => {
  const there = connection({ address: '203.0.113.8', port: 443, names: [] })
  expect(mismatch(there, target, ['203.0.113.7', '203.0.113.8'])).toEqual([])
})

it('an address that was given out for the host is none, though it resolves to another one by now', () => {
  const there = connection({ address: '203.0.113.8', port: 443, names: ['api.example'] })
  expect(mismatch(there, target, ['203.0.113.7'])).toEqual([])
})

it('a connection that was not redirected has none', () => {
  expect(mismatch(connection(), target, ['203.0.113.7'])).toEqual([])
})
