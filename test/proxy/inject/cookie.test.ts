import { describe, expect, it } from 'vitest'
import { inject } from '../../../proxy/inject/inject.ts'
import { Secret } from '../../../proxy/secret.ts'
import { exchange, placements, values } from './exchanges.ts'

const put = (headers: readonly string[], secret = 'value-123') =>
  inject(exchange({ headers, lease: { secret: new Secret('crm-token', secret) } }), placements({ cookie: 'sid' }))

describe('a credential in a cookie', () => {
  it.each([
    [[], ['sid=value-123']],
    [['Cookie', 'a=1; b=2'], ['a=1; b=2; sid=value-123']],
    [['Cookie', 'a=1; sid=own; b=2'], ['a=1; b=2; sid=value-123']],
    [['Cookie', 'sid=own', 'A', '1', 'cookie', 'b=2;;sid'], ['b=2; sid=value-123']],
    [['Cookie', ' sid =own; SID=x'], ['SID=x; sid=value-123']],
  ])('makes of %j one field %j', (headers, expected) => {
    expect(values(put(headers).outgoing.headers, 'cookie')).toEqual(expected)
  })

  it('takes the place of the agent’s own, which is found', () => {
    expect(put(['Cookie', 'sid=own; sid=two']).findings).toMatchObject([
      { kind: 'agent_credential_removed', where: 'cookie:sid' },
      { kind: 'agent_credential_removed', where: 'cookie:sid' },
    ])
  })

  it.each(['a;b', 'a b', 'a,b', 'a"b', 'a\\b', 'ä'])('is not written when it is %j', (secret) => {
    expect(() => put([], secret)).toThrow(expect.objectContaining({ reason: 'credential_unavailable' }))
  })
})
