// Addresses of a Workload API: each fault has its code.
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { AddressError, type AddressFault, parseWorkloadApiAddress } from '../../../certs/workload-api/address.ts'

const faultOf = (given: string) => {
  try {
    return parseWorkloadApiAddress(given)
  } catch (error) {
    return error instanceof AddressError ? error.code : error
  }
}

test.each<readonly [string, AddressFault]>([
  ['', 'empty'],
  ['unix:///a\0b', 'bad_char'],
  ['unix:///a b', 'bad_char'],
  ['unix:///a\n', 'bad_char'],
  ['unix:///a%2fb', 'bad_char'],
  ['/run/spire/agent.sock', 'bad_scheme'],
  ['UNIX:///run/spire/agent.sock', 'bad_scheme'],
  ['http://127.0.0.1:80', 'bad_scheme'],
  ['unix:///a?b', 'query'],
  ['tcp://127.0.0.1:1?b', 'query'],
  ['unix:///a#b', 'fragment'],
  ['tcp://127.0.0.1:1#b', 'fragment'],
  ['unix://run/spire/agent.sock', 'unix_authority'],
  ['unix:agent.sock', 'unix_relative'],
  ['unix:', 'unix_missing_path'],
  ['unix://', 'unix_missing_path'],
  ['unix:///', 'unix_missing_path'],
  [`unix:///${'a'.repeat(107)}`, 'unix_path_too_long'],
  ['tcp:127.0.0.1:1', 'tcp_opaque'],
  ['tcp:/127.0.0.1:1', 'tcp_opaque'],
  ['tcp://me@127.0.0.1:1', 'tcp_user_info'],
  ['tcp://127.0.0.1:1/', 'tcp_path'],
  ['tcp://127.0.0.1:1/a', 'tcp_path'],
  ['tcp://', 'tcp_missing_host'],
  ['tcp://:1', 'tcp_missing_host'],
  ['tcp://[]:1', 'tcp_missing_host'],
  ['tcp://localhost:1', 'tcp_not_ip'],
  ['tcp://127.1:1', 'tcp_not_ip'],
  ['tcp://::1:1', 'tcp_not_ip'],
  ['tcp://[127.0.0.1]:1', 'tcp_not_ip'],
  ['tcp://127.0.0.1', 'tcp_missing_port'],
  ['tcp://127.0.0.1:', 'tcp_missing_port'],
  ['tcp://127.0.0.1:0', 'tcp_bad_port'],
  ['tcp://127.0.0.1:65536', 'tcp_bad_port'],
  ['tcp://127.0.0.1:+1', 'tcp_bad_port'],
  ['tcp://127.0.0.1:http', 'tcp_bad_port'],
])('%j is refused as %s', (given, fault) => {
  expect(faultOf(given)).toBe(fault)
})

describe('is taken:', () => {
  test.each([
    ['unix:///run/spire/agent.sock', { kind: 'unix', path: '/run/spire/agent.sock' }],
    ['unix:/run/agent.sock', { kind: 'unix', path: '/run/agent.sock' }],
    [`unix:///${'a'.repeat(106)}`, { kind: 'unix', path: `/${'a'.repeat(106)}` }],
    ['tcp://127.0.0.1:8081', { kind: 'tcp', host: '127.0.0.1', port: 8081 }],
    ['tcp://[::1]:65535', { kind: 'tcp', host: '::1', port: 65_535 }],
  ])('%s', (given, address) => {
    expect(parseWorkloadApiAddress(given)).toEqual(address)
  })
})

test('any text is either taken or refused with a code, and never repeated in the message', () => {
  const hostile = fc.oneof(
    fc.string(),
    fc.string().map((text) => `unix:${text}`),
    fc.string().map((text) => `tcp://${text}`),
  )
  fc.assert(
    fc.property(hostile, (given) => {
      try {
        expect(['unix', 'tcp']).toContain(parseWorkloadApiAddress(given).kind)
      } catch (error) {
        expect(error).toBeInstanceOf(AddressError)
      }
    }),
  )
})
