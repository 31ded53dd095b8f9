import { describe, expect, it } from 'vitest'
import { describeStopped, longestReason, stoppedSchema, stopSchema } from '../../../policy/stop/stop.ts'

const complaint = (value: unknown) => stoppedSchema.safeParse(value).error?.issues[0]?.message

describe('what is stopped', () => {
  it.each([
    ['an agent that is no SPIFFE ID', { kind: 'agent', id: 'researcher' }, 'a SPIFFE ID such as'],
    ['a whole trust domain without /*', { kind: 'agent', id: 'spiffe://acme.example' }, 'a SPIFFE ID such as'],
    ['a star within a segment', { kind: 'agent', id: 'spiffe://acme.example/a*' }, 'a SPIFFE ID such as'],
    ['a user without a name', { kind: 'user', id: '' }, 'Too small'],
    ['a line break, which would forge a line elsewhere', { kind: 'user', id: 'a\nb' }, 'without control characters'],
    ['the id of a delegation under another name', { kind: 'delegation', id: 'x' }, 'Invalid input'],
    ['a kind that there is not', { kind: 'planet', id: 'x' }, 'Invalid'],
    ['everything, but for something', { kind: 'all', except: 'me' }, 'Unrecognized key'],
    ['nothing', undefined, 'Invalid input'],
  ])('cannot be %s', (_case, value, message) => {
    expect(complaint(value)).toContain(message)
  })

  it.each([
    [{ kind: 'agent', id: 'spiffe://acme.example/ns/a' }, 'agent spiffe://acme.example/ns/a'],
    [{ kind: 'agent', id: 'spiffe://acme.example/*' }, 'agent spiffe://acme.example/*'],
    [{ kind: 'user', id: 'zoë@acme.example' }, 'user zoë@acme.example'],
    [{ kind: 'delegation', jti: 'j1' }, 'delegation j1'],
    [{ kind: 'credential', name: 'crm-token' }, 'credential crm-token'],
    [{ kind: 'all' }, 'everything'],
  ])('can be %j', (value, described) => {
    expect(describeStopped(stoppedSchema.parse(value))).toBe(described)
  })
})

describe('a stop', () => {
  const stop = { id: 's1', what: { kind: 'all' }, reason: 'a leak', at: 1, by: 'uid 0' }

  it('has a reason that fits into a record', () => {
    expect(stopSchema.safeParse(stop).success).toBe(true)
    expect(stopSchema.safeParse({ ...stop, reason: '' }).success).toBe(false)
    expect(stopSchema.safeParse({ ...stop, reason: 'x'.repeat(longestReason + 1) }).success).toBe(false)
    expect(stopSchema.safeParse({ ...stop, reason: 'a\u2028b' }).success).toBe(false)
  })

  it('has nothing that is not known here', () => {
    expect(stopSchema.safeParse({ ...stop, forever: true }).success).toBe(false)
  })
})
