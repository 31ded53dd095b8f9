import { expect, it } from 'vitest'
import { bindsConnection } from '../../../proxy/forward/bound-connection.ts'

it.each([
  [['Authorization', 'Negotiate YII='], true],
  [['accept', '*/*', 'AUTHORIZATION', 'ntlm TlRM'], true],
  [['authorization', 'Bearer Negotiate'], false],
  [['authorization', 'Negotiated x'], false],
  [['x-authorized-1', 'NTLM x'], false],
  [['authorization', 'Basic YTpi'], false],
  [[], false],
])('%j leaves its connection in a name of its own: %s', (fields, bound) => {
  expect(bindsConnection(fields)).toBe(bound)
})
