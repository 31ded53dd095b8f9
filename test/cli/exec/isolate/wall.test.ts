// The network of a namespace as text; what the kernel makes of it is tried in isolate.test.ts.
import { describe, expect, it } from 'vitest'
import { isOwn, loopbackV4, ports, ruleset } from '../../../../cli/exec/isolate/wall.ts'

describe('the wall of a namespace', () => {
  it('exempts nobody, and turns TCP and DNS round to the ports that are opened in there', () => {
    expect(ruleset).not.toContain('skuid')
    expect(ruleset).toContain(`meta l4proto tcp counter name captured redirect to :${ports.redirected}`)
    for (const of of ['udp', 'tcp'])
      expect(ruleset).toContain(`${of} dport 53 counter name dns redirect to :${ports.dns}`)
  })

  it.each(['127.0.0.1', '127.1.2.3', '::1', '192.0.2.1', 'fdb5:9b1a:4c3e::1'])(
    'is met at its own ports at %s',
    (at) => {
      for (const port of Object.values(ports)) expect(isOwn(at, port)).toBe(true)
      expect(isOwn(at, 443)).toBe(false)
    },
  )

  it('is not met elsewhere', () => {
    expect(isOwn('203.0.113.7', ports.redirected)).toBe(false)
    expect(isOwn('2001:db8::1', ports.redirected)).toBe(false)
  })

  it('has no interface but loopback', () => {
    expect(loopbackV4.match(/\bdev \w+/g)).toEqual(['dev lo', 'dev lo'])
  })
})
