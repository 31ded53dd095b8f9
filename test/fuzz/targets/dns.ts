// DNS queries, which anybody in the pod sends; and the answers that are made of them.

import { longestQuery, readDnsQuery, writeDnsAnswer, writeDnsMalformed } from '../../../proxy/dns/message.ts'
import { looksLikeTunnel } from '../../../proxy/dns/tunnels.ts'
import { answerIn, query } from '../../proxy/dns/queries.ts'
import { must, mustEqual, type Target } from '../target.ts'

const addresses = [Buffer.of(192, 0, 2, 1), Buffer.of(192, 0, 2, 2)]

export const target: Target = {
  name: 'dns',
  longest: 600,
  seeds: [
    query('ApI.crm.example', 1),
    query('a.example', 28, { edns: Buffer.from([0, 10, 0, 2, 1, 2]) }),
    query('', 255),
    query(`${'a'.repeat(63)}.${'b'.repeat(63)}.${'c'.repeat(63)}.${'d'.repeat(58)}`, 16),
  ],
  dictionary: [
    Buffer.of(0xc0, 12),
    Buffer.of(0, 0, 41),
    Buffer.of(0, 1, 0, 1),
    Buffer.of(63),
    '\x03www',
    '\x07example\0',
    '.',
  ],
  run(input) {
    const reading = readDnsQuery(input)
    if (reading.state === 'malformed') {
      mustEqual(writeDnsMalformed(reading.id).length, 12, 'the length of a refusal')
      return
    }
    if (reading.state === 'none') return
    const asked = reading.query
    must(input.length <= longestQuery, 'a query that is too long')
    must(asked.name === '.' || /^[\x21-\x7e]{1,253}$/.test(asked.name), `a name: ${asked.name}`)
    const labels = asked.name === '.' ? [] : asked.name.split('.')
    must(
      labels.every((label) => label.length >= 1 && label.length <= 63),
      `a label of ${asked.name}`,
    )
    mustEqual(labelsIn(asked.question), labels.length, 'labels on the wire')
    must(typeof looksLikeTunnel(asked.name) === 'boolean', 'a verdict')
    const answer = writeDnsAnswer(asked, 0, addresses, 30)
    must(answer.length <= 512, `an answer of ${answer.length} bytes`)
    const read = answerIn(answer)
    mustEqual(read.id, asked.id, 'the id of the answer')
    mustEqual(read.name.toLowerCase(), labels.join('.'), 'the name of the answer')
    mustEqual(read.addresses, ['192.0.2.1', '192.0.2.2'], 'the addresses of the answer')
    // The question is given back letter by letter, and reads as the same query.
    const again = query('x', 1).subarray(0, 12)
    again.writeUInt16BE(asked.id, 0)
    const whole = readDnsQuery(Buffer.concat([again, asked.question]))
    must(whole.state === 'query' && whole.query.name === asked.name, 'the question is another one')
  },
}

function labelsIn(question: Uint8Array): number {
  let count = 0
  for (let at = 0; (question[at] ?? 0) !== 0; at += 1 + (question[at] ?? 0)) count++
  return count
}
