import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { AllowedRanges } from '../../../proxy/forward/address.ts'

const publicOnly = new AllowedRanges([])

describe('without ranges of its own, a destination', () => {
  it.each([
    ['0.0.0.0', 'this network'],
    ['0.1.2.3', 'this network'],
    ['10.0.0.1', 'private'],
    ['100.64.0.1', 'shared address space'],
    ['127.0.0.1', 'loopback'],
    ['127.255.255.254', 'loopback'],
    ['169.254.1.1', 'link-local'],
    ['172.16.0.1', 'private'],
    ['172.31.255.255', 'private'],
    ['192.0.0.8', 'protocol assignments'],
    ['192.0.2.1', 'documentation'],
    ['192.88.99.1', '6to4 relay'],
    ['192.168.1.1', 'private'],
    ['198.18.0.1', 'benchmarking'],
    ['198.19.255.255', 'benchmarking'],
    ['198.51.100.7', 'documentation'],
    ['203.0.113.9', 'documentation'],
    ['224.0.0.1', 'multicast'],
    ['239.255.255.255', 'multicast'],
    ['240.0.0.1', 'reserved'],
    ['255.255.255.255', 'reserved'],
    ['169.254.169.254', 'cloud metadata'],
    ['169.254.170.2', 'cloud metadata'],
    ['169.254.170.23', 'cloud metadata'],
    ['100.100.100.200', 'cloud metadata'],
    ['168.63.129.16', 'cloud metadata'],
    ['192.0.0.192', 'cloud metadata'],
    ['::', 'unspecified, loopback or IPv4-compatible'],
    ['::1', 'unspecified, loopback or IPv4-compatible'],
    ['::10.0.0.1', 'private'],
    ['::ffff:127.0.0.1', 'loopback'],
    ['::ffff:a9fe:a9fe', 'cloud metadata'],
    ['::ffff:0:0', 'this network'],
    ['64:ff9b::7f00:1', 'loopback'],
    ['64:ff9b::a9fe:a9fe', 'cloud metadata'],
    ['64:ff9b::808:808', 'NAT64'],
    ['64:ff9b:1::1', 'this network'],
    ['100::1', 'discard'],
    ['2001::1', 'protocol assignments, Teredo among them'],
    ['2001:0:4136:e378:8000:63bf:3fff:fdd2', 'protocol assignments, Teredo among them'],
    ['2001:db8::1', 'documentation'],
    ['2002:7f00:1::', 'loopback'],
    ['2002:a9fe:a9fe::1', 'cloud metadata'],
    ['2002:808:808::1', '6to4'],
    ['3fff::1', 'documentation'],
    ['5f00::1', 'segment routing'],
    ['fc00::1', 'unique local'],
    ['fd12:3456::1', 'unique local'],
    ['fe80::1', 'link-local'],
    ['fec0::1', 'site-local'],
    ['ff02::1', 'multicast'],
    ['fd00:ec2::254', 'cloud metadata'],
    ['fd00:ec2::23', 'cloud metadata'],
    ['fd20:ce::254', 'cloud metadata'],
    ['fe80::1%eth0', 'not an address'],
    ['localhost', 'not an address'],
    ['', 'not an address'],
  ])('does not reach %s (%s)', (address, range) => {
    expect(publicOnly.verdict(address)).toEqual({ allowed: false, range })
  })

  it.each([
    '1.1.1.1',
    '8.8.8.8',
    '100.63.255.255',
    '100.128.0.1',
    '172.15.255.255',
    '172.32.0.1',
    '198.17.255.255',
    '2606:4700::1',
    '2a00:1450::1',
    '::ffff:8.8.8.8',
  ])('reaches %s', (address) => {
    expect(publicOnly.verdict(address)).toEqual({ allowed: true })
  })
})

describe('a destination with ranges of its own', () => {
  it('reaches what it lists, also in the IPv4-mapped form, and nothing beside it', () => {
    const ranges = new AllowedRanges(['10.20.0.0/16', 'fd12::/48'])
    expect(ranges.verdict('10.20.3.4').allowed).toBe(true)
    expect(ranges.verdict('::ffff:10.20.3.4').allowed).toBe(true)
    expect(ranges.verdict('fd12::1').allowed).toBe(true)
    expect(ranges.verdict('10.21.0.1').allowed).toBe(false)
    expect(ranges.verdict('fd12:0:1::1').allowed).toBe(false)
  })

  it('reaches a metadata address only when it lists that address by itself', () => {
    expect(new AllowedRanges(['169.254.0.0/16']).verdict('169.254.169.254')).toEqual({
      allowed: false,
      range: 'cloud metadata',
    })
    expect(new AllowedRanges(['0.0.0.0/0', '::/0']).verdict('168.63.129.16')).toEqual({
      allowed: false,
      range: 'cloud metadata',
    })
    expect(new AllowedRanges(['169.254.169.254/32']).verdict('169.254.169.254')).toEqual({ allowed: true })
    expect(new AllowedRanges(['169.254.169.254']).verdict('::ffff:169.254.169.254')).toEqual({ allowed: true })
    expect(new AllowedRanges(['fd00:ec2::254/128']).verdict('fd00:ec2::254')).toEqual({ allowed: true })
  })

  it('does not reach IPv4 addresses by an IPv6 range that holds their mapped forms', () => {
    const ranges = new AllowedRanges(['::/64', '::ffff:0:0/96'])
    expect(ranges.verdict('127.0.0.1')).toEqual({ allowed: false, range: 'loopback' })
    expect(ranges.verdict('::ffff:127.0.0.1')).toEqual({ allowed: false, range: 'loopback' })
    expect(ranges.verdict('::1')).toEqual({ allowed: true })
  })

  it('is judged by the address inside a translated one, too', () => {
    expect(new AllowedRanges(['64:ff9b::/96']).verdict('64:ff9b::7f00:1')).toEqual({
      allowed: false,
      range: 'loopback',
    })
    expect(new AllowedRanges(['64:ff9b::/96']).verdict('64:ff9b::808:808')).toEqual({ allowed: true })
  })
})

it('an IPv4 address and its mapped form always get the same verdict', () => {
  fc.assert(
    fc.property(fc.ipV4(), (address) => {
      expect(publicOnly.verdict(`::ffff:${address}`)).toEqual(publicOnly.verdict(address))
    }),
    { numRuns: 2000 },
  )
})

it('anything at all gets a verdict', () => {
  fc.assert(
    fc.property(fc.oneof(fc.ipV6(), fc.ipV4(), fc.string()), (address) => {
      expect(typeof publicOnly.verdict(address).allowed).toBe('boolean')
    }),
    { numRuns: 3000 },
  )
})
