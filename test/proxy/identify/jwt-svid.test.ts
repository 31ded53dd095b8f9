// A token in Proxy-Authorization, alone and beside the kernel's word: what is refused, and why.
import { describe, expect, it } from 'vitest'
import { EmbeddedAuthority } from '../../../certs/embedded-authority.ts'
import { leeway } from '../../../certs/jwt-svid/claims.ts'
import { parseSpiffeId, parseTrustDomain, type SpiffeId } from '../../../certs/spiffe-id.ts'
import type { Caller, Connection } from '../../../proxy/exchange.ts'
import { callerOf } from '../../../proxy/identify/identify.ts'
import { egressOf, JwtSvidAttestor } from '../../../proxy/identify/jwt-svid.ts'
import { KernelAttestor } from '../../../proxy/identify/kernel.ts'
import { Refusal } from '../../../proxy/refusal.ts'
import { Secret } from '../../../proxy/secret.ts'

const acme = parseTrustDomain('acme.example')
const agent = parseSpiffeId('spiffe://acme.example/agent')
const other = parseSpiffeId('spiffe://acme.example/other')
const audience = egressOf(acme)
const clock = { at: 1_800_000_000_000 }
const now = () => clock.at
const authority = new EmbeddedAuthority({ trustDomain: acme, now })
const bundleFor = (domain: string) => (domain === acme ? authority.bundle() : undefined)

function connection(header: string | undefined, more: Partial<Connection> = {}): Connection {
  return {
    id: 'c1',
    listener: 'mesh',
    accept: 'https-proxy',
    transport: 'tcp',
    remoteAddress: '127.0.0.1',
    remotePort: 40000,
    localAddress: '127.0.0.1',
    localPort: 15002,
    peerCertificates: [],
    proxyAuthorization: header === undefined ? undefined : new Secret('proxy-authorization', header),
    ...more,
  }
}

/** The kernel as it is told of a UNIX peer: the attestor proper, on facts of a test. */
function kernelOf(uids: ReadonlyMap<number, SpiffeId>): KernelAttestor {
  return new KernelAttestor(
    { uids },
    { socketOwner: () => undefined, holderOf: () => undefined, process: () => undefined },
  )
}

async function attest(from: Connection, kernel?: KernelAttestor): Promise<Caller | string | undefined> {
  const attestor = new JwtSvidAttestor({ audience, bundleFor, now, kernel })
  try {
    return await attestor.attest(from, AbortSignal.timeout(5_000))
  } catch (error) {
    if (error instanceof Refusal) return `${error.reason}: ${error.detail}`
    throw error
  }
}

const tokenOf = (id: SpiffeId, ...audiences: string[]) => authority.issueJwt(id, audiences)

describe('JwtSvidAttestor', () => {
  it('has nothing to say of a caller without a bearer token', async () => {
    for (const header of [
      undefined,
      '',
      'Bearer',
      'Bearer  ',
      'Basic cnVuOng=',
      'Bearer a b',
      'Bearer x,y',
      'Token abc',
    ])
      expect(await attest(connection(header))).toBeUndefined()
  })

  it('refuses with the reason of the validation', async () => {
    expect(await attest(connection('Bearer nonsense'))).toBe('jwt_svid_malformed: it is not a JWS in compact form')
    const foreign = await tokenOf(agent, 'spiffe://acme.example/crm')
    expect(await attest(connection(`Bearer ${foreign}`))).toBe('jwt_svid_wrong_audience: it is meant for others')
  })

  it('tells the caller by the subject, and until when', async () => {
    const token = await tokenOf(agent, audience)
    for (const scheme of ['Bearer', 'bearer', 'BEARER '])
      expect(await attest(connection(`${scheme} ${token}`))).toEqual({
        id: agent,
        proofs: ['jwt-svid'],
        expiresAt: clock.at + 300_000 + leeway,
      })
  })

  it('never shows the token, whoever prints the connection or the refusal', async () => {
    const token = await tokenOf(agent, 'somebody')
    const from = connection(`Bearer ${token}`)
    expect(JSON.stringify(from) + String(await attest(from))).not.toContain(token.slice(0, 20))
  })

  it('is asked once a connection, and its end is looked at on each request', async () => {
    const from = connection(`Bearer ${await tokenOf(agent, audience)}`)
    const attestors = new Map([['mesh', [new JwtSvidAttestor({ audience, bundleFor, now, kernel: undefined })]]])
    const signal = AbortSignal.timeout(5_000)
    const caller = await callerOf(from, attestors, clock.at, signal)
    expect(await callerOf(from, attestors, clock.at + 300_000, signal)).toBe(caller)
    expect(() => callerOf(from, attestors, clock.at + 300_000 + leeway, signal)).toThrow('jwt_svid_expired')
  })

  it('leaves a caller with nothing unidentified, since a certificate is not all that he could have shown', async () => {
    const attestors = new Map([['mesh', [new JwtSvidAttestor({ audience, bundleFor, now, kernel: undefined })]]])
    await expect(callerOf(connection(undefined), attestors, clock.at, AbortSignal.timeout(5_000))).rejects.toThrow(
      'unidentified_caller: no evidence for jwt-svid',
    )
  })
})

describe('beside the kernel’s word', () => {
  const uids = new Map([
    [1000, agent],
    [1001, other],
  ])
  const local = (header: string, uid?: number) =>
    connection(header, {
      accept: 'http-proxy',
      transport: 'unix',
      ...(uid === undefined ? {} : { peer: { pid: 77, uid, gid: 1 } }),
    })

  it('a token of a caller whose user the kernel does not tell is refused', async () => {
    const header = `Bearer ${await tokenOf(agent, audience)}`
    const refused = 'unidentified_caller: kernel: it says nothing of the caller’s socket, or the user is not mapped'
    expect(await attest(local(header), kernelOf(uids))).toBe(refused)
    expect(await attest(local(header, 1002), kernelOf(uids))).toBe(refused)
  })

  it('a token in the hands of another user is refused', async () => {
    const header = `Bearer ${await tokenOf(agent, audience)}`
    expect(await attest(local(header, 1001), kernelOf(uids))).toBe(
      `unidentified_caller: kernel: user 1001 is ${other}, the token is of ${agent}`,
    )
  })

  it('a bad token is not made good by the right user', async () => {
    expect(await attest(local('Bearer a.b.c', 1000), kernelOf(uids))).toMatch(/^jwt_svid_malformed/)
  })

  it('both proofs are told, the stronger first', async () => {
    const header = `Bearer ${await tokenOf(agent, audience)}`
    expect(await attest(local(header, 1000), kernelOf(uids))).toEqual({
      id: agent,
      proofs: ['jwt-svid', 'kernel'],
      uid: 1000,
      pid: 77,
      expiresAt: clock.at + 300_000 + leeway,
    })
  })
})
