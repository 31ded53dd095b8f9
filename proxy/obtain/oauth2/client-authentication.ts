// Who the proxy is to a token server: each method of client authentication in the form in which it goes over the wire.
import { X509Certificate } from 'node:crypto'
import type { SvidSource, X509Svid } from '../../../certs/source.ts'
import { Refusal } from '../../refusal.ts'
import { readReference } from '../reference.ts'
import { readSmallFile } from '../small-file.ts'
import type { ClientCertificate, Surroundings } from '../surroundings.ts'
import type { ClientSettings } from './client-settings.ts'
import { signAssertion } from './sign-jwt.ts'

/** What a request to a token server carries of the client. */
export interface ClientProof {
  readonly authorization?: string
  readonly form: readonly (readonly [string, string])[]
}

const assertionTypes = 'urn:ietf:params:oauth:client-assertion-type:'

/** Long enough for a slow connection, short enough that a copy is soon worth nothing. Seconds. */
const assertionLifetime = 60

/**
 * @param client undefined: the grant itself is all the proof there is
 * @param server what an assertion is addressed to, unless the client settings say otherwise
 * @throws Refusal `credential_unavailable`
 */
export async function proveClient(
  client: ClientSettings | undefined,
  server: string,
  surroundings: Surroundings,
): Promise<ClientProof> {
  if (client === undefined) return { form: [] }
  const id = client.id === 'spiffe-id' ? ownSvid(surroundings).id : client.id
  switch (client.auth) {
    case 'none':
    case 'tls_client_auth':
      // The connection itself carries the proof; RFC 8705 §2 wants the identifier beside it.
      return { form: [['client_id', id]] }
    case 'client_secret_basic': {
      const pair = `${formEncode(id)}:${formEncode(await readReference(client.secret, surroundings))}`
      return { authorization: `Basic ${Buffer.from(pair).toString('base64')}`, form: [] }
    }
    case 'client_secret_post':
      return {
        form: [
          ['client_id', id],
          ['client_secret', await readReference(client.secret, surroundings)],
        ],
      }
    case 'private_key_jwt': {
      const assertion = await signAssertion(
        {
          issuer: id,
          subject: id,
          audience: client.audience ?? server,
          now: surroundings.clock(),
          lifetime: assertionLifetime,
        },
        { key: await readReference(client.key, surroundings), keyId: client.keyId, algorithm: client.algorithm },
      )
      return asserted(id, 'jwt-bearer', assertion)
    }
    case 'jwt-spiffe':
      return asserted(id, client.assertionType, await ownJwt(surroundings, [client.audience ?? server]))
  }
}

/**
 * The certificate to connect with, asked anew each time, since an SVID rotates.
 * @throws Refusal `credential_unavailable`
 */
export async function clientCertificate(
  client: ClientSettings | undefined,
  surroundings: Surroundings,
): Promise<ClientCertificate | undefined> {
  if (client?.auth !== 'tls_client_auth') return undefined
  if (client.certificate !== undefined && client.key !== undefined)
    return { chain: await readSmallFile(client.certificate), key: await readReference(client.key, surroundings) }
  const { chain, key } = ownSvid(surroundings)
  return {
    chain: chain.map((der) => new X509Certificate(der).toString()).join(''),
    key: key.export({ type: 'pkcs8', format: 'pem' }).toString(),
  }
}

function asserted(id: string, type: string, assertion: string): ClientProof {
  return {
    form: [
      ['client_id', id],
      ['client_assertion_type', assertionTypes + type],
      ['client_assertion', assertion],
    ],
  }
}

/** Both halves are form-encoded before they are joined, or a colon in the first would end it (RFC 6749 §2.3.1). */
function formEncode(text: string): string {
  return new URLSearchParams([['', text]]).toString().slice(1)
}

/** @throws Refusal `credential_unavailable` when the proxy has no identity of its own, or none now */
function ownSvid(surroundings: Pick<Surroundings, 'svids'>): X509Svid {
  try {
    return ownIdentity(surroundings).svid()
  } catch (error) {
    throw withoutIdentity(error)
  }
}

/** A JWT-SVID of the proxy. @throws Refusal `credential_unavailable` when none can be had now */
export async function ownJwt(surroundings: Pick<Surroundings, 'svids'>, audience: readonly string[]): Promise<string> {
  try {
    return await ownIdentity(surroundings).jwt(audience)
  } catch (error) {
    throw withoutIdentity(error)
  }
}

function ownIdentity({ svids }: Pick<Surroundings, 'svids'>): SvidSource {
  if (svids === undefined) throw new Refusal('credential_unavailable', { detail: 'the proxy has no SPIFFE identity' })
  return svids
}

/** Its source was away, took it back, or gave it for too short a time: that is foreseen, and passes. */
function withoutIdentity(error: unknown): Refusal {
  if (error instanceof Refusal) return error
  const detail = error instanceof Error ? error.message : String(error)
  return new Refusal('credential_unavailable', { detail, cause: error })
}
