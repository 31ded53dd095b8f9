// SPIFFE IDs: what is refused and why, over tables, every byte value and random text.
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { parseSpiffeId, parseTrustDomain, pathOf, SpiffeIdError, trustDomainOf } from '../../certs/spiffe-id.ts'

function faultOf(act: () => unknown): string {
  try {
    act()
  } catch (error) {
    if (error instanceof SpiffeIdError) return error.code
    throw error
  }
  return 'none'
}

const lower = 'abcdefghijklmnopqrstuvwxyz'
const inTrustDomain = `${lower}0123456789.-_`
const inPath = `${inTrustDomain}${lower.toUpperCase()}`

describe('parseSpiffeId', () => {
  test.each([
    ['', 'empty'],
    ['acme.example/agent', 'bad_scheme'],
    ['http://acme.example/agent', 'bad_scheme'],
    ['spiffe:/acme.example/agent', 'bad_scheme'],
    ['Spiffe://acme.example/agent', 'bad_scheme'],
    ['SPIFFE://acme.example/agent', 'bad_scheme'],
    [' spiffe://acme.example/agent', 'bad_scheme'],
    ['spiffe:acme.example', 'bad_scheme'],
    ['spiffe://', 'missing_trust_domain'],
    ['spiffe:///agent', 'missing_trust_domain'],
    ['spiffe://Acme.example/agent', 'bad_trust_domain_char'],
    ['spiffe://user@acme.example/agent', 'bad_trust_domain_char'],
    ['spiffe://acme.example:443/agent', 'bad_trust_domain_char'],
    ['spiffe://[::1]/agent', 'bad_trust_domain_char'],
    ['spiffe://acme%2eexample/agent', 'bad_trust_domain_char'],
    ['spiffe://acme.example?x', 'bad_trust_domain_char'],
    ['spiffe://acme.example#x', 'bad_trust_domain_char'],
    ['spiffe://acme.example\\agent', 'bad_trust_domain_char'],
    ['spiffe://acm\u00e9.example/agent', 'bad_trust_domain_char'],
    [`spiffe://${'a'.repeat(256)}/agent`, 'trust_domain_too_long'],
    ['spiffe://acme.example/', 'trailing_slash'],
    ['spiffe://acme.example/agent/', 'trailing_slash'],
    ['spiffe://acme.example//', 'empty_segment'],
    ['spiffe://acme.example//agent', 'empty_segment'],
    ['spiffe://acme.example/ns//agent', 'empty_segment'],
    ['spiffe://acme.example/.', 'dot_segment'],
    ['spiffe://acme.example/..', 'dot_segment'],
    ['spiffe://acme.example/./agent', 'dot_segment'],
    ['spiffe://acme.example/ns/../agent', 'dot_segment'],
    ['spiffe://acme.example/agent/..', 'dot_segment'],
    ['spiffe://acme.example/agent?x=1', 'bad_path_char'],
    ['spiffe://acme.example/agent#x', 'bad_path_char'],
    ['spiffe://acme.example/a%20b', 'bad_path_char'],
    ['spiffe://acme.example/a b', 'bad_path_char'],
    ['spiffe://acme.example/agent\0', 'bad_path_char'],
    ['spiffe://acme.example/agent\n', 'bad_path_char'],
    ['spiffe://acme.example/\u{1f916}', 'bad_path_char'],
    [`spiffe://acme.example/${'a'.repeat(2048)}`, 'too_long'],
  ])('refuses %j as %s', (text, code) => {
    expect(faultOf(() => parseSpiffeId(text))).toBe(code)
  })

  test.each([
    ['spiffe://acme.example', 'acme.example', ''],
    ['spiffe://acme.example/agent', 'acme.example', '/agent'],
    ['spiffe://acme.example/ns/agents/sa/researcher', 'acme.example', '/ns/agents/sa/researcher'],
    ['spiffe://acme.example/.../.path/..path/path.', 'acme.example', '/.../.path/..path/path.'],
    ['spiffe://10.0.0.1/agent', '10.0.0.1', '/agent'],
    ['spiffe://a_b-c.d/Agent_1', 'a_b-c.d', '/Agent_1'],
    [`spiffe://${'a'.repeat(255)}`, 'a'.repeat(255), ''],
  ])('reads %j', (text, trustDomain, path) => {
    const id = parseSpiffeId(text)
    expect(id).toBe(text)
    expect(trustDomainOf(id)).toBe(trustDomain)
    expect(pathOf(id)).toBe(path)
  })

  test('reads an ID of exactly 2048 bytes', () => {
    const text = `spiffe://a/${'b'.repeat(2048 - 'spiffe://a/'.length)}`
    expect(parseSpiffeId(text)).toHaveLength(2048)
  })

  test('takes in a trust domain exactly the bytes that the standard names', () => {
    for (let code = 0; code <= 0x1ff; code++) {
      const char = String.fromCharCode(code)
      const expected = char === '/' ? 'trailing_slash' : inTrustDomain.includes(char) ? 'none' : 'bad_trust_domain_char'
      expect(
        faultOf(() => parseSpiffeId(`spiffe://td${char}`)),
        `byte ${code}`,
      ).toBe(expected)
    }
  })

  test('takes in a path exactly the bytes that the standard names', () => {
    for (let code = 0; code <= 0x1ff; code++) {
      const char = String.fromCharCode(code)
      const expected = char === '/' ? 'empty_segment' : inPath.includes(char) ? 'none' : 'bad_path_char'
      expect(
        faultOf(() => parseSpiffeId(`spiffe://td/a${char}/b`)),
        `byte ${code}`,
      ).toBe(char === '/' ? 'empty_segment' : expected)
    }
  })

  test('the message does not repeat what was sent', () => {
    expect(() => parseSpiffeId('spiffe://acme.example/<script>')).toThrow(/^(?!.*script).*$/)
  })

  const segment = fc
    .string({ unit: fc.constantFrom(...inPath), minLength: 1, maxLength: 12 })
    .filter((text) => text !== '.' && text !== '..')
  const domain = fc.string({ unit: fc.constantFrom(...inTrustDomain), minLength: 1, maxLength: 40 })

  test('every ID made by the grammar is read and taken apart again', () => {
    fc.assert(
      fc.property(domain, fc.array(segment, { maxLength: 6 }), (trustDomain, segments) => {
        const path = segments.map((each) => `/${each}`).join('')
        const id = parseSpiffeId(`spiffe://${trustDomain}${path}`)
        expect(trustDomainOf(id)).toBe(trustDomain)
        expect(pathOf(id)).toBe(path)
        expect(parseTrustDomain(trustDomain)).toBe(trustDomain)
      }),
    )
  })

  test('what is read obeys the grammar, whatever was sent', () => {
    const grammar = /^spiffe:\/\/[a-z0-9._-]{1,255}(\/(?!\.{1,2}(\/|$))[A-Za-z0-9._-]+)*$/
    const near = fc.string({ unit: fc.constantFrom(...'spiffe:/.aA-_%?#@ \0'), maxLength: 20 })
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          near,
          near.map((text) => `spiffe://${text}`),
        ),
        (text) => {
          expect(faultOf(() => parseSpiffeId(text)) === 'none').toBe(grammar.test(text))
        },
      ),
      { numRuns: 3000 },
    )
  })
})

describe('parseTrustDomain', () => {
  test.each([
    ['', 'missing_trust_domain'],
    ['spiffe://', 'missing_trust_domain'],
    ['spiffe:/acme.example', 'bad_scheme'],
    ['http://acme.example', 'bad_scheme'],
    ['Acme.example', 'bad_trust_domain_char'],
    ['acme.example/', 'bad_trust_domain_char'],
    ['acme.example/agent', 'bad_trust_domain_char'],
    ['/acme.example', 'missing_trust_domain'],
    ['acme.example:443', 'bad_trust_domain_char'],
    ['*.acme.example', 'bad_trust_domain_char'],
    ['a'.repeat(256), 'trust_domain_too_long'],
    ['spiffe://acme.example/', 'trailing_slash'],
    ['spiffe://acme.example/agent', 'unexpected_path'],
  ])('refuses %j as %s', (text, code) => {
    expect(faultOf(() => parseTrustDomain(text))).toBe(code)
  })

  test('reads the bare name and the ID of the domain alike', () => {
    expect(parseTrustDomain('acme.example')).toBe('acme.example')
    expect(parseTrustDomain('spiffe://acme.example')).toBe('acme.example')
  })
})
