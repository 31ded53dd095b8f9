// SPIFFE on both sides of a destination: the proxy shows its SVID, the host must be one workload, the record says which it was.
import type { TLSSocket } from 'node:tls'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { certificatePem } from '../../certs/pem.ts'
import { parseSpiffeId } from '../../certs/spiffe-id.ts'
import { agentId, agentsListener, openGate, type TestGate } from '../support/gate.ts'
import { keyPem, makeAuthority, makeSvid } from '../support/pki.ts'
import { reasonOf, through } from '../support/through.ts'
import { type HttpsUpstream, httpsUpstream } from '../support/upstream.ts'
import type { WireAnswer } from '../support/wire-client.ts'

const ledgerId = 'spiffe://acme.example/ns/x/sa/ledger'
const partnerId = 'spiffe://other.example/ns/x/sa/y'
const partnerRoot = makeAuthority()
let upstream: HttpsUpstream
let partner: HttpsUpstream
let gate: TestGate

beforeAll(async () => {
  upstream = await httpsUpstream(
    [],
    (request, response) => {
      const { subjectaltname, serialNumber } = (request.socket as TLSSocket).getPeerCertificate()
      response.end(`${subjectaltname} ${serialNumber}`)
    },
    { tls: { requestCert: true, rejectUnauthorized: true } },
  )
  upstream.server.on('upgrade', (_request, socket) => {
    socket.end('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n')
  })
  const place = `ports: [${upstream.port}], addresses: [127.0.0.0/8]`
  const svid = makeSvid(partnerRoot, partnerId)
  partner = await httpsUpstream([], (_, response) => response.end('partner'), {
    tls: { cert: svid.chain.map(certificatePem).join(''), key: keyPem(svid.key) },
  })
  gate = await openGate(
    `identity: { source: embedded }
federation: { other.example: { source: file, path: other.pem } }
${agentsListener}resolve: { ledger.example: [127.0.0.1], other.example: [127.0.0.1], nameless.example: [127.0.0.1], partner.example: [127.0.0.1], web.example: [127.0.0.1] }
destinations:
  ledger: { hosts: [ledger.example], ${place}, clientCertificate: svid, spiffeId: ${ledgerId} }
  other: { hosts: [other.example], ${place}, clientCertificate: svid, spiffeId: spiffe://acme.example/ns/x/sa/other }
  nameless: { hosts: [nameless.example], ${place}, spiffeId: ${ledgerId} }
  web: { hosts: [web.example], ${place}, clientCertificate: svid }
  partner: { hosts: [partner.example], ports: [${partner.port}], addresses: [127.0.0.0/8], spiffeId: ${partnerId} }
rules:
  - { name: agent-asks, allow: { agents: [${agentId}], to: [ledger, other, nameless, web, partner] } }
`,
    { files: { 'other.pem': partnerRoot.pem } },
  )
  takeIdentity(ledgerId)
})
afterAll(async () => {
  await gate[Symbol.asyncDispose]()
  await upstream.close()
  await partner.close()
})

/** The upstream is this workload from now on, and lets in whom the authority of the proxy has signed. */
function takeIdentity(id: string): void {
  const { authority } = gate.gate
  if (authority === undefined) throw new Error('no authority')
  const { chain, key } = authority.issue(parseSpiffeId(id))
  upstream.server.setSecureContext({
    cert: chain.map(certificatePem).join(''),
    key: key.export({ type: 'pkcs8', format: 'pem' }).toString(),
    ca: authority.bundle().x509Authorities.map(certificatePem),
  })
}

async function ask(host: string, { port } = upstream, ...fields: readonly string[]) {
  await using client = await through({ port: gate.port(), ca: gate.gate.caPem }, host, port)
  return await client.request(['GET /balance HTTP/1.1', `Host: ${host}:${port}`, ...fields])
}

const recordOf = (answer: WireAnswer) => gate.record(answer.field('postern-request-id'))

describe('a destination with SPIFFE on both sides', () => {
  it('is spoken to as the SVID of the proxy, and the record says who it proved to be', async () => {
    const answer = await ask('ledger.example')
    expect(answer.text).toContain('URI:spiffe://acme.example/postern')
    const record = await recordOf(answer)
    expect(record.destination).toMatchObject({ name: 'ledger', address: '127.0.0.1', spiffe_id: ledgerId })
  })

  it('is spoken to as the next SVID after a rotation, on a kept connection of the agent too', async () => {
    await using client = await through({ port: gate.port(), ca: gate.gate.caPem }, 'ledger.example', upstream.port)
    const request = ['GET /balance HTTP/1.1', `Host: ledger.example:${upstream.port}`]
    const before = await client.request(request)
    gate.gate.authority?.rotate()
    takeIdentity(ledgerId)
    const after = await client.request(request)
    expect(after.status).toBe(200)
    expect(after.text).not.toBe(before.text)
  })

  it('carries an upgraded connection', async () => {
    const answer = await ask('ledger.example', upstream, 'Connection: Upgrade', 'Upgrade: websocket')
    expect(answer.status).toBe(101)
  })

  it('that is another workload is refused, and the record says which', async () => {
    const answer = await ask('other.example')
    expect([answer.status, reasonOf(answer)]).toEqual([502, 'upstream_wrong_identity'])
    const record = await recordOf(answer)
    expect(record.destination?.spiffe_id).toBeUndefined()
    expect(record.refusal?.detail).toContain(`the host is ${ledgerId}`)
  })

  it('that demands a certificate where none is shown is refused', async () => {
    const answer = await ask('nameless.example')
    expect([answer.status, reasonOf(answer)]).toEqual([502, 'upstream_rejected_certificate'])
  })

  it('of a federated trust domain is verified with the bundle of that one', async () => {
    const answer = await ask('partner.example', partner)
    expect([answer.status, answer.text]).toEqual([200, 'partner'])
    expect((await recordOf(answer)).destination).toMatchObject({ name: 'partner', spiffe_id: partnerId })
  })

  it('is verified as any web server where no ID is demanded', async () => {
    const answer = await ask('web.example')
    expect([answer.status, reasonOf(answer)]).toEqual([502, 'upstream_untrusted'])
  })
})
