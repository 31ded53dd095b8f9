import { describe, expect, it } from 'vitest'
import { askDnsOverUdp, dnsTypes } from '../../../deploy/redirect/dns-attempts.ts'

describe('a question of one’s own', () => {
  it('to where no socket may be connected to is told as the error that it is', async () => {
    // The kernel refuses a broadcast at once, or says that there is no way there.
    expect(await askDnsOverUdp('255.255.255.255', 'api.example', dnsTypes.A, 5_000)).toEqual({
      error: expect.stringMatching(/^(EACCES|ENETUNREACH|EPERM)$/),
    })
  })
})
