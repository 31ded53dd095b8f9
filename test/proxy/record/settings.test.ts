import { describe, expect, test } from 'vitest'
import { adminSchema, recordsSchema } from '../../../proxy/record/settings.ts'

const messages = (result: { success: boolean; error?: { issues: { message: string }[] } }) =>
  result.error?.issues.map(({ message }) => message)

describe('records', () => {
  test('an unknown key, an unknown durability, and a word in place of a path are errors', () => {
    expect(recordsSchema.safeParse({ too: 'stdout' }).success).toBe(false)
    expect(recordsSchema.safeParse({ durability: 'fsync' }).success).toBe(false)
    expect(recordsSchema.safeParse({ to: 'stdotu' }).success).toBe(false)
  })

  test('a key that stands in the configuration itself is an error', () => {
    expect(recordsSchema.safeParse({ fingerprintKey: 'k'.repeat(32) }).success).toBe(false)
  })

  test('a header for the collector does not go over cleartext to another machine', () => {
    const headers = { authorization: '${env:COLLECTOR}' }
    const otlp = (endpoint: string) => recordsSchema.safeParse({ otlp: { endpoint, headers } })
    expect(otlp('http://collector.example/v1/logs').error?.issues).toMatchObject([
      { path: ['otlp', 'endpoint'], message: 'headers that hold secrets go over https, or to this machine' },
    ])
    expect(otlp('http://127.0.0.1.example/v1/logs').success).toBe(false)
    for (const endpoint of ['https://collector.example/v1/logs', 'http://127.0.0.1:4318/', 'http://[::1]:4318/'])
      expect(otlp(endpoint).success).toBe(true)
    expect(recordsSchema.safeParse({ otlp: { endpoint: 'http://collector.example/v1/logs' } }).success).toBe(true)
    expect(recordsSchema.safeParse({ otlp: { endpoint: 'ftp://collector.example/' } }).success).toBe(false)
  })

  test('the safe choice is the default', () => {
    expect(recordsSchema.parse({})).toEqual({
      to: 'stdout',
      durability: 'buffered',
      whenFull: 'refuse',
      checkpoint: { records: 1_000, every: 60_000 },
    })
  })
})

describe('admin', () => {
  test.each([
    ['15020', 'an address with its port, such as 127.0.0.1:15020 or [::]:15020'],
    ['postern:15020', 'an address with its port, such as 127.0.0.1:15020 or [::]:15020'],
    ['127.0.0.1:99999', 'a port is at most 65535'],
    ['1.2.3:80', 'not an address'],
    ['[1.2.3.4.5]:80', 'not an address'],
  ])('metrics: %s is an error', (metrics, message) => {
    expect(messages(adminSchema.safeParse({ metrics }))).toEqual([message])
  })

  test.each([
    ['127.0.0.1:15020', { host: '127.0.0.1', port: 15_020 }],
    ['[::]:0', { host: '::', port: 0 }],
    ['localhost:80', { host: 'localhost', port: 80 }],
  ])('metrics: %s', (metrics, address) => {
    expect(adminSchema.parse({ metrics }).metrics).toEqual(address)
  })

  test('nothing is opened, and no name is answered to, unless it is said', () => {
    expect(adminSchema.parse({})).toEqual({ hosts: [] })
    expect(adminSchema.safeParse({ hosts: ['EVIL example'] }).success).toBe(false)
  })
})
