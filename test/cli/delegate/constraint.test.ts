import { InvalidArgumentError } from 'commander'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { constraintOf } from '../../../cli/delegate/constraint.ts'

describe('a bound on the command line', () => {
  it.each([
    ['host', 'KEY:TYPE=VALUE'],
    ['host=api.example', 'KEY:TYPE=VALUE'],
    [':one_of=a', 'KEY:TYPE=VALUE'],
    ['host:one_of=', 'KEY:TYPE=VALUE'],
    ['host:like=a', 'not like'],
    ['calls:max=many', 'a whole number'],
    ['level:rank=low', 'behind @'],
    ['level:rank=low@low@high', 'behind @'],
    ['host:one_of=["a"', 'Not a list in JSON'],
    ['host:one_of=[{}]', 'Not a list in JSON'],
  ])('%s is not one', (text, said) => {
    expect(() => constraintOf(text)).toThrow(said)
  })

  it.each([
    ['host:one_of=a.example,b.example', { key: 'host', one_of: ['a.example', 'b.example'] }],
    ['method:not_one_of=DELETE', { key: 'method', not_one_of: ['DELETE'] }],
    ['port:one_of=443,8443', { key: 'port', one_of: [443, 8443] }],
    ['arg.id:one_of=["443","a,b"]', { key: 'arg.id', one_of: ['443', 'a,b'] }],
    ['arg.id:one_of=007', { key: 'arg.id', one_of: ['007'] }],
    ['path:prefix=/v1/a=b:c', { key: 'path', prefix: '/v1/a=b:c' }],
    ['calls:max_lifetime=10', { key: 'calls', max_lifetime: 10 }],
    ['arg.amount:min=-5', { key: 'arg.amount', min: -5 }],
    ['level:rank=low@low,middle,high', { key: 'level', rank: 'low', order: ['low', 'middle', 'high'] }],
  ])('%s is read', (text, bound) => {
    expect(constraintOf(text)).toEqual(bound)
  })

  it('is read or refused with a word, whatever it is', () => {
    fc.assert(
      fc.property(
        fc.string(),
        fc.constantFrom('one_of', 'max', 'rank', 'prefix', 'x'),
        fc.string(),
        (key, type, value) => {
          try {
            constraintOf(`${key}:${type}=${value}`)
          } catch (error) {
            expect(error).toBeInstanceOf(InvalidArgumentError)
          }
        },
      ),
    )
  })
})
