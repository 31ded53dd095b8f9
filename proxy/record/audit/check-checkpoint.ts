// Checks one checkpoint: its signature, whose it is, and that the line holds nothing but what was signed.
import { createPublicKey, type KeyObject, verify, X509Certificate } from 'node:crypto'
import * as z from 'zod'
import { type BundleLookup, validateX509Svid } from '../../../certs/svid/validate.ts'
import { lineOf } from '../line-text.ts'
import { type CheckpointPayload, checkpointPayload, checkpointRecord } from './checkpoint.ts'
import type { SignerReport } from './findings.ts'
import { schemeOf } from './schemes.ts'
import { type Seal, sealed } from './seal.ts'
import { jwsType, thumbprintOf } from './signature.ts'

export interface TrustInSigners {
  /** Roots that the certificates of signers must lead to; undefined: nobody asked. */
  readonly bundleFor?: BundleLookup | undefined
  /** The only one who may sign. */
  readonly signer?: string | undefined
}

export interface CheckedCheckpoint {
  readonly payload: CheckpointPayload
  readonly by: Omit<SignerReport, 'checkpoints'>
}

const header = z.strictObject({
  alg: z.string(),
  typ: z.literal(jwsType),
  x5c: z.array(z.base64()).min(1).max(10).optional(),
  jwk: z.record(z.string(), z.unknown()).optional(),
})

const record = z.object({ checkpoint: z.object({ jws: z.string() }) })

/**
 * @param line the whole line, without its end
 * @throws Error that says what is wrong
 */
export function checkCheckpoint(line: Buffer, seal: Seal, trust: TrustInSigners): CheckedCheckpoint {
  const text = line.toString('utf8')
  const { jws } = record.parse(JSON.parse(text)).checkpoint
  const [head = '', body = '', signature = '', ...more] = jws.split('.')
  if (more.length > 0 || [head, body, signature].some((part) => !isCanonical(part)))
    throw new Error('not a compact JWS')
  const { alg, x5c, jwk } = header.parse(jsonOf(head))
  const payload = checkpointPayload.parse(jsonOf(body))
  const chain = x5c?.map((der) => Buffer.from(der, 'base64'))
  const key = keyOf(chain, jwk)
  checkSignature(key, alg, `${head}.${body}`, signature)
  if (thumbprintOf(key) !== payload.key_thumbprint) throw new Error('key_thumbprint is that of another key')
  const by = signerOf(payload, chain, trust)
  if (payload.head !== seal.prev || payload.seq !== seal.seq - 1)
    throw new Error(`it was signed for record ${payload.seq} with the hash ${payload.head}`)
  // Whatever else the line says was not signed.
  if (text !== sealed(lineOf(checkpointRecord(payload, jws)), seal.seq, seal.prev, seal.trail))
    throw new Error('the line is not the one that was signed')
  return { payload, by }
}

const isCanonical = (part: string) => part !== '' && Buffer.from(part, 'base64url').toString('base64url') === part

const jsonOf = (part: string): unknown => JSON.parse(Buffer.from(part, 'base64url').toString('utf8'))

function keyOf(chain: readonly Buffer[] | undefined, jwk: Readonly<Record<string, unknown>> | undefined): KeyObject {
  const [leaf] = chain ?? []
  if (leaf !== undefined) return new X509Certificate(leaf).publicKey
  if (jwk === undefined) throw new Error('it has neither x5c nor jwk')
  return createPublicKey({ key: jwk, format: 'jwk' })
}

function checkSignature(key: KeyObject, alg: string, text: string, signature: string): void {
  const scheme = schemeOf(key)
  if (scheme === undefined || scheme.alg !== alg) throw new Error(`${alg} does not fit the key`)
  const input = { key, ...scheme.options }
  if (!verify(scheme.hash, Buffer.from(text), input, Buffer.from(signature, 'base64url')))
    throw new Error('the signature does not match')
}

function signerOf(
  { spiffe_id, key_thumbprint, time }: CheckpointPayload,
  chain: readonly Buffer[] | undefined,
  { bundleFor, signer }: TrustInSigners,
): CheckedCheckpoint['by'] {
  if (signer !== undefined && spiffe_id !== signer)
    throw new Error(`signed by ${spiffe_id ?? 'a key without identity'}`)
  if (bundleFor === undefined) {
    return { spiffe_id, key_thumbprint, trust: chain === undefined ? 'ephemeral' : 'claimed' }
  }
  if (chain === undefined) throw new Error('signed by a key without identity, which no bundle vouches for')
  // As it was when this was signed: certificates live for hours, records for years.
  const { id } = validateX509Svid({ chain, bundleFor, now: Date.parse(time) })
  if (id !== spiffe_id) throw new Error(`the certificate is that of ${id}`)
  return { spiffe_id, key_thumbprint, trust: 'bundle' }
}
