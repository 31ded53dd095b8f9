import { createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto'
import { calculateJwkThumbprint, compactVerify, decodeProtectedHeader, importX509 } from 'jose'
import { describe, expect, test, vi } from 'vitest'
import { EmbeddedAuthority } from '../../../../certs/embedded-authority.ts'
import { certificatePem } from '../../../../certs/pem.ts'
import type { X509Svid } from '../../../../certs/source.ts'
import { parseSpiffeId, parseTrustDomain } from '../../../../certs/spiffe-id.ts'
import type { BundleLookup } from '../../../../certs/svid/validate.ts'
import { checkCheckpoint, type TrustInSigners } from '../../../../proxy/record/audit/check-checkpoint.ts'
import { sealOf } from '../../../../proxy/record/audit/seal.ts'
import { ephemeralSigner, jwsType, svidSigner } from '../../../../proxy/record/audit/signature.ts'
import { aRecord, aTrail, signedLines } from './trails.ts'

const now = Date.now
const trustDomain = parseTrustDomain('acme.example')
const id = parseSpiffeId('spiffe://acme.example/ns/agents/sa/researcher')
const authority = new EmbeddedAuthority({ trustDomain, now })
const svid = authority.issue(id)
const source = { svid: () => svid }
const bundleFor: BundleLookup = () => authority.bundle()

/** A checkpoint over one record, as a line. */
function checkpointLine(signer = svidSigner(source)): string {
  return signedLines(1, { signer, now }).at(-1) ?? ''
}

function check(line: string, trust: TrustInSigners = {}) {
  const bytes = Buffer.from(line)
  const seal = sealOf(bytes)
  if (seal === undefined) throw new Error('no seal')
  return checkCheckpoint(bytes, seal, trust)
}

const jwsIn = (line: string): string => JSON.parse(line).checkpoint.jws

describe('a checkpoint that does not hold', () => {
  const line = checkpointLine()

  test('of another authority is refused, with the reason of the validation', () => {
    const other = new EmbeddedAuthority({ trustDomain, now })
    expect(() => check(line, { bundleFor: () => other.bundle() })).toThrow('svid_bad_signature')
    expect(() => check(line, { bundleFor: () => undefined })).toThrow('svid_untrusted_domain')
  })

  test('signed when the certificate was not valid is refused', () => {
    const late = signedLines(1, { signer: svidSigner(source), now: () => now() + 86_400_000 }).at(-1) ?? ''
    expect(() => check(late, { bundleFor })).toThrow('svid_expired')
  })

  test('of another identity than the one that may sign is refused', () => {
    expect(() => check(line, { signer: 'spiffe://acme.example/other' })).toThrow(`signed by ${id}`)
  })

  test('that claims the identity of another is refused', () => {
    const claimed: X509Svid = { ...svid, id: parseSpiffeId('spiffe://acme.example/other') }
    expect(() => check(checkpointLine(svidSigner({ svid: () => claimed })), { bundleFor })).toThrow(
      `the certificate is that of ${id}`,
    )
  })

  test('with a key without identity is refused when a bundle is asked', () => {
    expect(() => check(checkpointLine(ephemeralSigner()), { bundleFor })).toThrow('no bundle vouches for')
  })

  test('whose signature is of another key, or of another algorithm, is refused', () => {
    const key = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey
    const mixed: X509Svid = { ...svid, key }
    expect(() => check(checkpointLine(svidSigner({ svid: () => mixed })))).toThrow('the signature does not match')
    const [header = '', ...rest] = jwsIn(line).split('.')
    const none = Buffer.from(
      JSON.stringify({ ...JSON.parse(Buffer.from(header, 'base64url').toString()), alg: 'none' }),
    ).toString('base64url')
    expect(() => check(line.replace(jwsIn(line), [none, ...rest].join('.')))).toThrow('none does not fit the key')
  })

  test('is refused when it was signed for another place', () => {
    const written = aTrail({ signer: svidSigner(source), now })
    written.write(aRecord(1))
    written.write(aRecord(2))
    written.trail.close()
    const other = written.lines.at(-1) ?? ''
    expect(() =>
      check(line.replace(/"checkpoint":\{[^}]*\}/, other.match(/"checkpoint":\{[^}]*\}/)?.[0] ?? '')),
    ).toThrow('it was signed for record 2')
  })

  test('is refused when its line says more than was signed', () => {
    expect(() => check(line.replace('"count":1', '"count":2'))).toThrow('not the one that was signed')
    expect(() => check(line.replace('"kind"', '"lost":1,"kind"'))).toThrow('not the one that was signed')
  })
})

describe('a checkpoint', () => {
  test('is a JWS that another implementation verifies, and names the key as RFC 7638 does', async () => {
    const line = checkpointLine()
    const jws = jwsIn(line)
    const { alg, typ, x5c = [] } = decodeProtectedHeader(jws)
    expect([alg, typ, x5c.length]).toEqual(['ES256', jwsType, 1])
    const key = await importX509(certificatePem(Buffer.from(x5c[0] ?? '', 'base64')), 'ES256')
    const { payload } = await compactVerify(jws, key)
    const said = JSON.parse(Buffer.from(payload).toString())
    expect(said).toMatchObject({ seq: 1, count: 1, spiffe_id: id, head: JSON.parse(line).prev })
    expect(said.key_thumbprint).toBe(
      await calculateJwkThumbprint(createPublicKey(source.svid().key).export({ format: 'jwk' })),
    )
  })

  test('is led back to the bundle', () => {
    expect(check(checkpointLine(), { bundleFor, signer: id }).by).toMatchObject({ spiffe_id: id, trust: 'bundle' })
    expect(check(checkpointLine()).by.trust).toBe('claimed')
    expect(check(checkpointLine(ephemeralSigner())).by).toEqual({
      spiffe_id: undefined,
      key_thumbprint: expect.any(String),
      trust: 'ephemeral',
    })
  })

  test.each<[string, () => KeyObject]>([
    ['ES384', () => generateKeyPairSync('ec', { namedCurve: 'P-384' }).privateKey],
    ['ES512', () => generateKeyPairSync('ec', { namedCurve: 'P-521' }).privateKey],
    ['PS256', () => generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey],
    ['EdDSA', () => generateKeyPairSync('ed25519').privateKey],
  ])('is signed as %s where the key is of that kind, so that another implementation verifies it', async (alg, make) => {
    const key = make()
    const jws = svidSigner({ svid: () => ({ ...source.svid(), key }) })().sign('{}')
    expect(decodeProtectedHeader(jws).alg).toBe(alg)
    await compactVerify(jws, createPublicKey(key))
  })

  test('is signed by the SVID of the moment', () => {
    let current = svid
    const signer = svidSigner({ svid: () => current })
    const before = signer().by.key_thumbprint
    expect(signer().by.key_thumbprint).toBe(before)
    current = authority.issue(id)
    expect(signer().by.key_thumbprint).not.toBe(before)
  })

  test('is not written while there is no identity, and is made up for later', () => {
    const told: unknown[] = []
    let there = false
    const written = aTrail({
      signer: svidSigner({
        svid: () => {
          if (!there) throw new Error('there is no identity yet')
          return source.svid()
        },
      }),
      failed: (error) => told.push(error),
    })
    written.write(aRecord(1))
    written.trail.checkpoint()
    expect([written.lines.length, told]).toEqual([1, [new Error('there is no identity yet')]])
    there = true
    written.trail.checkpoint()
    expect(JSON.parse(written.lines[1] ?? '').checkpoint).toMatchObject({ seq: 1, count: 1 })
  })

  test('is written after some time, when there were records since the one before', async () => {
    const written = aTrail({ after: 10 })
    written.write(aRecord(1))
    await vi.waitFor(() => expect(written.lines).toHaveLength(2))
    written.write(aRecord(2))
    await vi.waitFor(() => expect(written.lines).toHaveLength(4))
    written.trail.close()
    expect(written.lines.map((line) => JSON.parse(line).kind)).toEqual(['gap', 'checkpoint', 'gap', 'checkpoint'])
  })
})
