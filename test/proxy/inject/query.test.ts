import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { inject } from '../../../proxy/inject/inject.ts'
import { Refusal } from '../../../proxy/refusal.ts'
import { Secret } from '../../../proxy/secret.ts'
import { exchange, fingerprint, placements } from './exchanges.ts'

const put = (query: string, secret = 's e/c') =>
  inject(
    exchange({ target: { query }, lease: { secret: new Secret('crm-token', secret) } }),
    placements({ query: 'api_key' }),
  )

describe('a credential in the query', () => {
  it.each([
    ['', '?api_key=s%20e%2Fc'],
    ['?', '?api_key=s%20e%2Fc'],
    ['?a=%20+&&b', '?a=%20+&&b&api_key=s%20e%2Fc'],
    ['?api_key=own&a=1', '?a=1&api_key=s%20e%2Fc'],
    ['?a=1&api_key', '?a=1&api_key=s%20e%2Fc'],
    ['?api%5fkey=own&%61pi_key=own', '?api_key=s%20e%2Fc'],
    ['?API_KEY=1&api_key[]=2', '?API_KEY=1&api_key[]=2&api_key=s%20e%2Fc'],
    ['?a=api_key=x', '?a=api_key=x&api_key=s%20e%2Fc'],
    ['?a=%zz', '?a=%zz&api_key=s%20e%2Fc'],
  ])('makes of %j %j', (query, expected) => {
    expect(put(query).outgoing.path).toBe(`/v1/contacts${expected}`)
  })

  it('takes the place of the agent’s own, which is found by its fingerprint', () => {
    expect(put('?api_key=own%2B1&api_key=two').findings).toEqual([
      { kind: 'agent_credential_removed', where: 'query:api_key', fingerprint: fingerprint(new Secret('', 'own+1')) },
      { kind: 'agent_credential_removed', where: 'query:api_key', fingerprint: fingerprint(new Secret('', 'two')) },
    ])
  })

  it.each(['?a=1;api_key=own', '?a;api%5Fkey'])('is not put beside one behind a semicolon (%j)', (query) => {
    expect(() => put(query)).toThrow(expect.objectContaining({ reason: 'placement_conflict' }))
  })

  it('is read back by a server, and everything else as it was, whatever stands there', () => {
    const part = fc.string({ unit: fc.constantFrom(...'ab=&%2B+;_k'), maxLength: 30 })
    const value = fc
      .string({ unit: 'grapheme', minLength: 1, maxLength: 30 })
      .filter((text) => !/[\0-\x1f\x7f]/.test(text))
    fc.assert(
      fc.property(part, value, (query, secret) => {
        try {
          const { outgoing } = put(`?${query}`, secret)
          const read = new URLSearchParams(outgoing.path.slice(outgoing.path.indexOf('?')))
          expect(read.getAll('api_key')).toEqual([secret])
          expect(outgoing.path).toMatch(/^[\x21-\x7e]*$/)
        } catch (error) {
          expect(error).toBeInstanceOf(Refusal)
        }
      }),
    )
  })
})
