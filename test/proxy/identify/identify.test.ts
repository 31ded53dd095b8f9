// A proof is asked for once a connection, and again when what it is verified against has changed.
import { describe, expect, test } from 'vitest'
import { parseSpiffeId } from '../../../certs/spiffe-id.ts'
import type { Caller, Connection } from '../../../proxy/exchange.ts'
import type { Attestor } from '../../../proxy/identify/attestor.ts'
import { callerOf } from '../../../proxy/identify/identify.ts'
import { Refusal } from '../../../proxy/refusal.ts'

const signal = new AbortController().signal
const caller: Caller = { id: parseSpiffeId('spiffe://b.example/agent'), proofs: ['x509-svid'] }

function connection(): Connection {
  return {
    id: 'c',
    listener: 'mesh',
    accept: 'https-proxy',
    transport: 'tcp',
    remoteAddress: '127.0.0.1',
    remotePort: 1,
    localAddress: '127.0.0.1',
    localPort: 2,
    peerCertificates: [new Uint8Array()],
    proxyAuthorization: undefined,
  }
}

class Counted implements Attestor {
  readonly name = 'x509-svid'
  epoch = 1
  asked = 0
  trusted = true

  async attest(): Promise<Caller> {
    this.asked += 1
    if (!this.trusted) throw new Refusal('svid_untrusted_domain')
    return caller
  }
}

describe('the caller of a connection', () => {
  test('is attested once while the trust is the same, and then told at once', async () => {
    const attestor = new Counted()
    const attestors = new Map([['mesh', [attestor]]])
    const open = connection()
    expect(await callerOf(open, attestors, 0, signal)).toBe(caller)
    expect(callerOf(open, attestors, 0, signal)).toBe(caller)
    expect(attestor.asked).toBe(1)
    expect(await callerOf(connection(), attestors, 0, signal)).toBe(caller)
    expect(attestor.asked).toBe(2)
  })

  test('is attested anew when the trust has changed: refused with the reason, as often as it asks, until it is trusted again', async () => {
    const attestor = new Counted()
    const attestors = new Map([['mesh', [attestor]]])
    const open = connection()
    await callerOf(open, attestors, 0, signal)
    attestor.epoch += 1
    attestor.trusted = false
    for (const _ of [1, 2])
      await expect(callerOf(open, attestors, 0, signal)).rejects.toMatchObject({ reason: 'svid_untrusted_domain' })
    attestor.trusted = true
    expect(await callerOf(open, attestors, 0, signal)).toBe(caller)
    expect(callerOf(open, attestors, 0, signal)).toBe(caller)
    expect(attestor.asked).toBe(4)
  })

  test('whose trust changes while it is attested is attested again at its next request', async () => {
    const attestor = new Counted()
    const attestors = new Map([['mesh', [attestor]]])
    const open = connection()
    const first = callerOf(open, attestors, 0, signal)
    attestor.epoch += 1
    await first
    await callerOf(open, attestors, 0, signal)
    expect(attestor.asked).toBe(2)
  })

  test('is not asked for again where the proof has nothing that changes', async () => {
    let asked = 0
    const kernel: Attestor = {
      name: 'kernel',
      async attest() {
        asked += 1
        return caller
      },
    }
    const open = connection()
    const attestors = new Map([['mesh', [kernel]]])
    await callerOf(open, attestors, 0, signal)
    expect(callerOf(open, attestors, 0, signal)).toBe(caller)
    expect(asked).toBe(1)
  })
})
