// Which scope covers which.
import { describe, expect, it } from 'vitest'
import { covers, isScope, meetScopes } from '../../../policy/delegation/scope.ts'

describe('a scope', () => {
  it.each([
    '',
    '*',
    '.*',
    '*.read',
    'crm.*.read',
    'crm.**',
    'crm*',
    'Crm.*',
    'crm.x*',
    'a b',
    'a\n',
    'crm.read\n',
    'crm.*\n',
    'a"b',
    'a\\b',
    'é',
    'crm.*.*',
    'x'.repeat(257),
  ])('is not %j', (text) => expect(isScope(text)).toBe(false))

  it.each([
    'crm.read',
    'crm.contacts.read_all',
    'mcp.crm.search-contacts',
    'crm.*',
    'a.b.*',
    'User.Read',
    'crm',
    'https://x.example/a',
    '..',
    'crm.',
    '1.2',
  ])('is %j', (text) => expect(isScope(text)).toBe(true))

  it.each([
    ['crm.*', 'crm'],
    ['crm.*', 'crmx.read'],
    ['crm.*', 'crm.'],
    ['crm.*', 'crm.Read'],
    ['crm.*', 'crm..x'],
    ['crm.*', '*'],
    ['crm.x.*', 'crm.*'],
    ['crm.x.*', 'crm.x'],
    ['crm.read', 'crm.*'],
    ['crm.read', 'crm.read.all'],
    ['crm', 'crm.read'],
    ['User.*', 'User.Read'],
    ['User.Read', 'user.read'],
  ])('%s does not cover %s', (held, wanted) => expect(covers(held, wanted)).toBe(false))

  it.each([
    ['crm.*', 'crm.read'],
    ['crm.*', 'crm.x.y'],
    ['crm.*', 'crm.x.*'],
    ['crm.*', 'crm.*'],
    ['crm.read', 'crm.read'],
    ['User.Read', 'User.Read'],
  ])('%s covers %s', (held, wanted) => expect(covers(held, wanted)).toBe(true))

  it('lists have in common the narrower of each pair', () => {
    expect(meetScopes(['crm.*', 'mail.send'], ['crm.read', 'mail.*', 'x.y'])).toEqual(['mail.send', 'crm.read'])
    expect(meetScopes(['crm.*'], ['crm.*'])).toEqual(['crm.*'])
    expect(meetScopes(['crm.*'], ['crm'])).toEqual([])
  })
})
