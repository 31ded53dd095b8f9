// A Secret tells two questions without being taken out: is it that one, and is it a Basic credential.
import { createHash } from 'node:crypto'
import { inspect } from 'node:util'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { Secret } from '../../proxy/secret.ts'

const digest = (text: string) => createHash('sha256').update(text).digest()
const basicOf = (text: string) => `Basic ${Buffer.from(text).toString('base64')}`

describe('Secret.matches', () => {
  test('answers no for another secret, a longer and a shorter one', () => {
    for (const other of ['', 'toke', 'token ', 'Token'])
      expect(new Secret('s', other).matches(digest('token'))).toBe(false)
  })

  test('answers yes for the same bytes', () => {
    fc.assert(fc.property(fc.string(), (value) => new Secret('s', value).matches(digest(value))))
  })
})

describe('Secret.basic', () => {
  test.each([
    '',
    'Basic',
    'Basic ',
    'Bearer cnVuOnRva2Vu',
    'Basic cnVu',
    'Basic ????',
    'Basic cnVuOnRva2Vu trailing',
    'Basiccn VuOnRva2Vu',
  ])('reads nothing from %j', (value) => {
    expect(new Secret('s', value).basic()).toBeUndefined()
  })

  test('splits at the first colon and keeps the password a secret', () => {
    fc.assert(
      fc.property(fc.stringMatching(/^[^:]*$/), fc.string(), (name, password) => {
        fc.pre(name.isWellFormed() && password.isWellFormed())
        const read = new Secret('s', basicOf(`${name}:${password}`)).basic()
        expect(read?.username).toBe(name)
        expect(read?.password.matches(digest(password))).toBe(true)
      }),
    )
    expect(inspect(new Secret('s', basicOf('run:canary')).basic())).not.toContain('canary')
  })

  test('takes the scheme in any case and base64 without padding, as clients write it', () => {
    for (const value of ['basic cnVuOnRva2Vu', 'BASIC  cnVuOnRva2Vu', 'Basic cnVuOnQ', 'Basic cnVuOnQ='])
      expect(new Secret('s', value).basic()?.username).toBe('run')
  })
})
