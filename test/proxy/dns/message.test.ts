import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  type DnsQuery,
  mostAddresses,
  readDnsQuery,
  writeDnsAnswer,
  writeDnsMalformed,
} from '../../../proxy/dns/message.ts'
import { answerIn, query } from './queries.ts'

const whyOf = (bytes: Uint8Array) => {
  const reading = readDnsQuery(bytes)
  return reading.state === 'malformed' ? reading.why : reading.state
}

function read(bytes: Uint8Array): DnsQuery {
  const reading = readDnsQuery(bytes)
  if (reading.state !== 'query') throw new Error(reading.state)
  return reading.query
}

describe('a query', () => {
  it('is read with its name in lower case, and its question kept as it came', () => {
    const asked = read(query('ApI.ExaMPle', 28))
    expect(asked).toMatchObject({ id: 7, name: 'api.example', type: 28, class: 1, recursionDesired: true, edns: false })
    expect(Buffer.from(asked.question).toString('latin1')).toContain('ExaMPle')
  })

  it('of the root, and with EDNS, is read', () => {
    expect(read(query('', 1)).name).toBe('.')
    expect(read(query('a.example', 1, { edns: Buffer.from([0, 10, 0, 2, 1, 2]) })).edns).toBe(true)
  })

  it.each<[string, Uint8Array, string]>([
    ['shorter than a header', new Uint8Array(11), 'none'],
    ['that is a response', query('a.example', 1, { flags: 0x8180 }), 'none'],
    ['of another operation', query('a.example', 1, { flags: 0x2800 }), 'not a standard query'],
    ['with two questions', query('a.example', 1, { questions: 2 }), 'not one question alone'],
    ['with no question', query('a.example', 1, { questions: 0 }), 'not one question alone'],
    [
      'with a compressed name',
      Buffer.concat([query('', 1).subarray(0, 12), Buffer.from([0xc0, 12, 0, 1, 0, 1])]),
      'the name',
    ],
    ['whose name has no end', query('a.example', 1).subarray(0, 18), 'the name'],
    ['whose name is too long', query(new Array(5).fill('a'.repeat(60)).join('.'), 1), 'the name'],
    ['with a space in its name', query('a b.example', 1), 'the name'],
    ['whose question is cut off', query('a.example', 1).subarray(0, -1), 'the question'],
    ['with bytes after it', Buffer.concat([query('a.example', 1), Buffer.from('secret')]), 'what follows the question'],
    [
      'with bytes after EDNS',
      Buffer.concat([query('a.example', 1, { edns: Buffer.alloc(0) }), Buffer.of(1)]),
      'what follows the question',
    ],
    ['longer than any', Buffer.concat([query('a.example', 1), Buffer.alloc(600)]), 'too long'],
  ])('%s is not taken', (_what, bytes, why) => {
    expect(whyOf(bytes)).toBe(why)
  })

  it('of anything is read or not, and never throws', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 600 }), (bytes) => void readDnsQuery(bytes)),
      { numRuns: 2_000 },
    )
  })

  it('with any one byte changed never throws', () => {
    const whole = query('api.example', 1, { edns: Buffer.alloc(4) })
    fc.assert(
      fc.property(fc.nat(whole.length - 1), fc.nat(255), (at, byte) => {
        const changed = Uint8Array.from(whole)
        changed[at] = byte
        readDnsQuery(changed)
      }),
    )
  })
})

describe('an answer', () => {
  it('gives the question back, and addresses under its name', () => {
    const asked = read(query('ApI.example', 1, { edns: Buffer.alloc(0) }))
    const answer = answerIn(
      writeDnsAnswer(asked, 0, [Uint8Array.of(203, 0, 113, 7), Uint8Array.of(203, 0, 113, 8)], 30),
    )
    expect(answer).toEqual({
      id: 7,
      code: 0,
      name: 'ApI.example',
      addresses: ['203.0.113.7', '203.0.113.8'],
      ttls: [30, 30],
    })
  })

  it('fits into a datagram, whatever was asked and found', () => {
    const longest = read(
      query([...new Array(3).fill('a'.repeat(63)), 'a'.repeat(61)].join('.'), 28, { edns: Buffer.alloc(0) }),
    )
    const many = new Array(100).fill(new Uint8Array(16))
    expect(writeDnsAnswer(longest, 0, many, 30).length).toBeLessThanOrEqual(512)
    expect(answerIn(writeDnsAnswer(read(query('a', 28)), 0, many, 30)).addresses).toHaveLength(mostAddresses)
  })

  it('to what could not be read says so', () => {
    expect([...writeDnsMalformed(0x0102)]).toEqual([1, 2, 0x80, 0x81, 0, 0, 0, 0, 0, 0, 0, 0])
  })
})
