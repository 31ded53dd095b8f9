// A question is written so that a resolver reads what was meant.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { askDnsOverUdp, dnsTypes, queryOf } from '../../../deploy/redirect/dns-attempts.ts'
import { readDnsQuery } from '../../../proxy/dns/message.ts'

describe('a question', () => {
  it('is read as it was meant', () => {
    const label = fc.stringMatching(/^[a-z0-9-]{1,40}$/)
    const name = fc.array(label, { minLength: 1, maxLength: 5 }).map((labels) => labels.join('.'))
    fc.assert(
      fc.property(name, fc.constantFrom(dnsTypes.A, dnsTypes.TXT), (asked, type) => {
        expect(readDnsQuery(queryOf(asked, type))).toMatchObject({
          state: 'query',
          query: { name: asked, type, class: 1, recursionDesired: true, edns: false },
        })
      }),
    )
  })

  it('to where no socket may be connected to is told as the error that it is', async () => {
    // The kernel refuses a broadcast at once, or says that there is no way there.
    expect(await askDnsOverUdp('255.255.255.255', 'api.example', dnsTypes.A, 5_000)).toEqual({
      error: expect.stringMatching(/^(EACCES|ENETUNREACH|EPERM)$/),
    })
  })
})
