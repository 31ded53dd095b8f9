// Addresses as Node prints them become the bytes that the kernel compares.
import { SocketAddress } from 'node:net'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Connection } from '../../../../proxy/exchange.ts'
import { addressBytes, addressText, callersEnds } from '../../../../proxy/identify/kernel/tcp-ends.ts'

const connection = (over: Partial<Connection>): Connection => ({
  id: 'c',
  listener: 'l',
  accept: 'http-proxy',
  transport: 'tcp',
  remoteAddress: '127.0.0.1',
  remotePort: 40000,
  localAddress: '127.0.0.1',
  localPort: 15001,
  peerCertificates: [],
  proxyAuthorization: undefined,
  ...over,
})

describe('addressBytes', () => {
  test.each(['', 'localhost', '1.2.3', '1.2.3.256', '01.2.3.4', ':::', '1::2::3', '12345::', '::g', '%eth0'])(
    'makes nothing of %j',
    (text) => {
      expect(addressBytes(text)).toBeUndefined()
    },
  )

  test.each([
    ['127.0.0.1', '7f000001'],
    ['::', '00000000000000000000000000000000'],
    ['::1', '00000000000000000000000000000001'],
    ['2001:db8::7', '20010db8000000000000000000000007'],
    ['1:2:3:4:5:6:7:8', '00010002000300040005000600070008'],
    ['fe80::1%eth0', 'fe800000000000000000000000000001'],
    ['64:ff9b::192.0.2.1', '0064ff9b0000000000000000c0000201'],
  ])('spells %s', (text, hex) => {
    expect(Buffer.from(addressBytes(text) ?? []).toString('hex')).toBe(hex)
  })

  test('unmaps a v4 address in v6 clothes, since the kernel knows it as v4', () => {
    expect(addressBytes('::ffff:10.1.2.3')).toEqual(Uint8Array.of(10, 1, 2, 3))
  })

  test('agrees with Node on every address', () => {
    fc.assert(
      fc.property(fc.ipV6(), (text) => {
        const canonical = new SocketAddress({ address: text, family: 'ipv6' }).address
        expect(addressBytes(canonical)).toEqual(addressBytes(text))
      }),
    )
  })

  test('never throws', () => {
    fc.assert(fc.property(fc.string(), (text) => void addressBytes(text)))
  })
})

describe('callersEnds', () => {
  test('turns the ends round: the caller’s local end is our remote one', () => {
    expect(callersEnds(connection({}))).toEqual({
      local: { address: Uint8Array.of(127, 0, 0, 1), port: 40000 },
      remote: { address: Uint8Array.of(127, 0, 0, 1), port: 15001 },
    })
  })

  test('of a redirected connection are those that the caller’s socket has', () => {
    const original = { address: '203.0.113.7', port: 443, names: [] }
    expect(callersEnds(connection({ remoteAddress: '::ffff:10.0.0.2', original }))).toEqual({
      local: { address: Uint8Array.of(10, 0, 0, 2), port: 40000 },
      remote: { address: Uint8Array.of(203, 0, 113, 7), port: 443 },
    })
  })

  test.each([
    ['a UNIX socket', { transport: 'unix' }],
    ['a connection that was gone when it was looked at', { remoteAddress: undefined, remotePort: undefined }],
    ['ends of two families', { remoteAddress: '::1' }],
  ] satisfies [string, Partial<Connection>][])('knows no ends of %s', (_what, over) => {
    expect(callersEnds(connection(over))).toBeUndefined()
  })
})

describe('addressText', () => {
  test('writes what addressBytes reads', () => {
    const v4 = fc.uint8Array({ minLength: 4, maxLength: 4 })
    // What begins with zeros may be a mapped address, which is read as the v4 one that it is.
    const v6 = fc.uint8Array({ minLength: 16, maxLength: 16 }).filter(([first]) => first !== 0)
    const bytes = fc.oneof(v4, v6)
    fc.assert(fc.property(bytes, (address) => void expect(addressBytes(addressText(address))).toEqual(address)))
  })

  test('writes the shortest form', () => {
    expect(addressText(Uint8Array.of(10, 0, 0, 1))).toBe('10.0.0.1')
    expect(addressText(Uint8Array.of(0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7))).toBe('2001:db8::7')
  })
})
