// SPIFFE IDs and trust domains, which certificates, tokens and configuration bring.
import { parseSpiffeId, parseTrustDomain, pathOf, SpiffeIdError, trustDomainOf } from '../../../certs/spiffe-id.ts'
import { latin1, must, mustEqual, type Target, unlessRefused, utf8 } from '../target.ts'

const isNamed = (error: unknown) => error instanceof SpiffeIdError

/** The rules of SPIFFE-ID §2 once more, as one expression. */
const domain = '[a-z0-9._-]{1,255}'
const segment = '(?!\\.{1,2}(?:/|$))[A-Za-z0-9._-]+'
const id = new RegExp(`^spiffe://${domain}(?:/${segment})*$`)
const name = new RegExp(`^(?:spiffe://)?${domain}$`)

export const target: Target = {
  name: 'spiffe-id',
  longest: 2_200,
  seeds: [
    'spiffe://acme.example/ns/agents/sa/researcher',
    'spiffe://acme.example',
    'acme.example',
    `spiffe://${'a'.repeat(255)}/x`,
    `spiffe://a/${'b'.repeat(2036)}`,
  ],
  dictionary: [
    'spiffe://',
    'SPIFFE://',
    '/',
    '//',
    '/.',
    '/..',
    '/...',
    '%2e',
    '%2F',
    '@',
    ':',
    '?',
    '#',
    'é',
    '\0',
    '\n',
  ],
  run(input) {
    for (const text of [latin1(input), utf8(input)]) {
      const parsed = unlessRefused(() => parseSpiffeId(text), isNamed)
      const expected = text.length <= 2048 && id.test(text) && !text.endsWith('\n')
      mustEqual(parsed !== undefined, expected, `whether it is an ID: ${JSON.stringify(text)}`)
      if (parsed !== undefined) {
        mustEqual(parsed, text, 'an ID is changed')
        mustEqual(`spiffe://${trustDomainOf(parsed)}${pathOf(parsed)}`, text, 'its parts do not make the whole')
        mustEqual(parseTrustDomain(trustDomainOf(parsed)), trustDomainOf(parsed), 'its trust domain is none')
      }
      const trustDomain = unlessRefused(() => parseTrustDomain(text), isNamed)
      if (trustDomain !== undefined) must(name.test(text), `a trust domain: ${JSON.stringify(text)}`)
    }
  },
}
