import { describe, expect, it } from 'vitest'
import { Stripper } from '../../../proxy/inject/strip.ts'
import { Secret } from '../../../proxy/secret.ts'
import { exchange, fingerprint, type Given, values } from './exchanges.ts'

const strip = (given: Given, carries = true) => new Stripper(fingerprint).strip(exchange(given), carries)

describe('what never leaves', () => {
  it.each([
    'Keep-Alive',
    'keep-alive',
    'TE',
    'Trailer',
    'Transfer-Encoding',
    'TRANSFER-ENCODING',
    'Transfer_Encoding',
    'Content_Length',
    'CONTENT_LENGTH',
    'Upgrade',
    'Expect',
    'HTTP2-Settings',
    'Proxy-Connection',
    'Proxy-Authorization',
    'Proxy-Anything-Else',
    'Proxy_Authorization',
    'Connection',
  ])('%s', (name) => {
    for (const carries of [true, false]) {
      const { headers, findings } = strip({ headers: ['A', '1', name, 'x', 'B', '2'] }, carries)
      expect(headers).toEqual(['host', 'api.crm.example', 'A', '1', 'B', '2'])
      expect(findings).toEqual([])
    }
  })

  it('is what Connection names, in any of several', () => {
    const { headers } = strip({
      headers: [
        'X-Hop',
        '1',
        'connection',
        'x-hop , Cookie',
        'Cookie',
        'a=1',
        'Connection',
        'X-Other',
        'x-other',
        '2',
        'C',
        '3',
      ],
    })
    expect(headers).toEqual(['host', 'api.crm.example', 'C', '3'])
  })

  it('is not the Host that the proxy writes, though Connection names it', () => {
    expect(strip({ headers: ['Connection', 'host, close'] }).headers).toEqual(['host', 'api.crm.example'])
  })
})

describe('Host', () => {
  it.each([
    ['the plain name at the port of https', {}, 'api.crm.example'],
    ['the plain name at the port of http', { scheme: 'http', port: 80 }, 'api.crm.example'],
    ['the port where it is another', { port: 8443 }, 'api.crm.example:8443'],
    ['the port of the other scheme', { scheme: 'http', port: 443 }, 'api.crm.example:443'],
    ['brackets around IPv6', { host: '::1', port: 8080 }, '[::1]:8080'],
  ] as const)('is %s', (_, target, expected) => {
    const { headers } = strip({ target, headers: ['Host', 'evil.example', 'hOsT', 'other.example'] })
    expect(values(headers, 'host')).toEqual([expected])
  })
})

describe('what passes', () => {
  it('keeps its order, its case and its repetition', () => {
    const headers = ['Accept', 'a', 'X-Two', '1', 'x-two', '2', 'Cookie', 'a=1', 'Content-Length', '5', 'Via', '1.1 a']
    expect(strip({ headers }).headers).toEqual(['host', 'api.crm.example', ...headers])
  })

  it('is path and query as they were sent', () => {
    expect(strip({ target: { path: '/a%2fb', query: '?x=%20&&y' } }).path).toBe('/a%2fb?x=%20&&y')
  })
})

describe('a credential that the agent sends', () => {
  it.each([
    'Authorization',
    'authorization',
    'AUTHORIZATION',
    'X-Api-Key',
    'X_Api_Key',
    'Api-Key',
    'X-Goog-Api-Key',
    'X-Auth-Token',
    'X-Amz-Security-Token',
    'Private-Token',
  ])('in %s is taken out and found, with a keyed fingerprint', (name) => {
    for (const carries of [true, false]) {
      const { headers, findings } = strip({ headers: [name, 'own-key-123'] }, carries)
      expect(headers).toEqual(['host', 'api.crm.example'])
      expect(findings).toEqual([
        {
          kind: 'agent_credential_removed',
          where: `header:${name.toLowerCase().replaceAll('_', '-')}`,
          fingerprint: fingerprint(new Secret('', 'own-key-123')),
        },
      ])
      expect(JSON.stringify(findings)).not.toContain('own-key')
    }
  })

  it('has the same fingerprint with and without a scheme', () => {
    const { findings } = strip({ headers: ['Authorization', 'Bearer k-1', 'X-Api-Key', 'k-1', 'Api-Key', 'k-2'] })
    expect(findings).toHaveLength(3)
    expect(findings[0]?.fingerprint).toBe(findings[1]?.fingerprint)
    expect(findings[2]?.fingerprint).not.toBe(findings[1]?.fingerprint)
  })

  it('is taken out each time', () => {
    const { headers, findings } = strip({ headers: ['Authorization', 'a', 'authorization', 'b'] })
    expect(headers).toEqual(['host', 'api.crm.example'])
    expect(findings).toHaveLength(2)
  })

  it('is taken out of the field in which the rule writes its own, under any spelling', () => {
    const stripper = new Stripper(fingerprint, { own: 'X-Crm-Token' })
    const { headers, findings } = stripper.strip(exchange({ headers: ['x-crm-token', 'a', 'X_CRM_TOKEN', 'b'] }), true)
    expect(headers).toEqual(['host', 'api.crm.example'])
    expect(findings.map(({ where }) => where)).toEqual(['header:x-crm-token', 'header:x-crm-token'])
  })

  it('passes where the rule says so, and is found all the same', () => {
    const stripper = new Stripper(fingerprint, { agentPasses: true })
    const { headers, findings } = stripper.strip(exchange({ headers: ['Authorization', 'Bearer own'] }), false)
    expect(headers).toEqual(['host', 'api.crm.example', 'Authorization', 'Bearer own'])
    expect(findings).toMatchObject([{ kind: 'agent_credential_passed', where: 'header:authorization' }])
  })
})

describe('a request that will carry a credential', () => {
  const oracles = [
    'Range',
    'bytes=1-1',
    'If-Range',
    '"x"',
    'Max-Forwards',
    '0',
    'Sec-WebSocket-Extensions',
    'permessage-deflate',
  ]

  it('does not ask for parts of the answer, for a gateway to answer, or for compressed frames', () => {
    expect(strip({ headers: oracles }).headers).toEqual(['host', 'api.crm.example'])
  })

  it('asks for encodings that can be looked into', () => {
    const { headers } = strip({ headers: ['Accept-Encoding', 'gzip, compress;q=0.5, br;q=0.9, *;q=0.1'] })
    expect(values(headers, 'accept-encoding')).toEqual(['gzip, br;q=0.9'])
  })

  it('is left alone in that where the destination is trusted with an echo', () => {
    const headers = [...oracles, 'Accept-Encoding', 'compress']
    const stripped = strip({ headers, destination: { echo: 'trusted-echo' } })
    expect(stripped.headers).toEqual(['host', 'api.crm.example', ...headers])
  })

  it('is left alone in that where no credential is put in', () => {
    const headers = [...oracles, 'Accept-Encoding', 'compress']
    expect(strip({ headers }, false).headers).toEqual(['host', 'api.crm.example', ...headers])
  })
})
