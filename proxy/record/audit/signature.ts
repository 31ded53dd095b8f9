// Signs checkpoints as compact JWS (RFC 7515): with the key of the own SVID, or with one of this process where there is no identity.
import { createPublicKey, generateKeyPairSync, hash, type KeyObject, sign } from 'node:crypto'
import type { SvidSource } from '../../../certs/source.ts'
import { schemeOf } from './schemes.ts'

/** Who signed, as the payload says it. */
export interface SignedBy {
  /** Absent where the key proves nothing but that it is the same. */
  readonly spiffe_id?: string | undefined
  /** RFC 7638, SHA-256. */
  readonly key_thumbprint: string
}

export interface CheckpointKey {
  readonly by: SignedBy
  /** @returns a compact JWS over this text */
  sign(payload: string): string
}

/** Asked for each checkpoint. @throws when there is no identity now */
export type CheckpointSigner = () => CheckpointKey

/** Signs with the SVID of the moment; its certificates stand in `x5c`, so that a verifier can lead them back to a bundle. */
export function svidSigner(source: Pick<SvidSource, 'svid'>): CheckpointSigner {
  let made: { readonly from: KeyObject; readonly leaf: Uint8Array | undefined; readonly key: CheckpointKey } | undefined
  return () => {
    const svid = source.svid()
    if (made?.from !== svid.key || made.leaf !== svid.chain[0]) {
      const x5c = svid.chain.map((der) => Buffer.from(der).toString('base64'))
      made = { from: svid.key, leaf: svid.chain[0], key: keyOf(svid.key, { x5c }, svid.id) }
    }
    return made.key
  }
}

/** Signs with a key that lives as long as this process. Weaker: it proves that one process wrote it all, not which one. */
export function ephemeralSigner(): CheckpointSigner {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const key = keyOf(privateKey, { jwk: publicKey.export({ format: 'jwk' }) })
  return () => key
}

function keyOf(privateKey: KeyObject, proof: Readonly<Record<string, unknown>>, id?: string): CheckpointKey {
  const publicKey = createPublicKey(privateKey)
  const scheme = schemeOf(publicKey)
  if (scheme === undefined) throw new Error(`no signature is made with a key of type ${publicKey.asymmetricKeyType}`)
  const header = encoded(JSON.stringify({ alg: scheme.alg, typ: jwsType, ...proof }))
  const thumbprint = thumbprintOf(publicKey)
  return {
    by: id === undefined ? { key_thumbprint: thumbprint } : { spiffe_id: id, key_thumbprint: thumbprint },
    sign(payload) {
      const text = `${header}.${encoded(payload)}`
      const signature = sign(scheme.hash, Buffer.from(text), { key: privateKey, ...scheme.options })
      return `${text}.${signature.toString('base64url')}`
    },
  }
}

export const jwsType = 'postern-checkpoint+jws'

const encoded = (text: string) => Buffer.from(text).toString('base64url')

/** RFC 7638: SHA-256 over the members that make the key, by name in order. */
export function thumbprintOf(key: KeyObject): string {
  const { crv, e, kty, n, x, y } = key.export({ format: 'jwk' })
  // Those that a kind of key does not have are left out.
  return hash('sha256', JSON.stringify({ crv, e, kty, n, x, y }), 'base64url')
}
