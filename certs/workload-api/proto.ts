// The messages of the SPIFFE Workload API (workloadapi.proto) and where they are sent. The file has no package, so neither have the paths.
import { entry, field, ProtobufError, readFields, text } from './protobuf.ts'
import { struct } from './protobuf-struct.ts'

export const service = 'SpiffeWorkloadAPI'

export const paths = {
  x509Svid: `/${service}/FetchX509SVID`,
  x509Bundles: `/${service}/FetchX509Bundles`,
  jwtSvid: `/${service}/FetchJWTSVID`,
  jwtBundles: `/${service}/FetchJWTBundles`,
  validateJwtSvid: `/${service}/ValidateJWTSVID`,
} as const

/** Every call carries it; a server refuses one without (Workload Endpoint §5), so that a page of a browser cannot ask. */
export const securityHeader = { name: 'workload.spiffe.io', value: 'true' } as const

/** Bytes of a message. The bundles of some hundred domains fit; what is far beyond is not from an agent. */
export const maxMessage = 4 * 1024 * 1024

/** Members of a list within a message. */
const maxMembers = 1024

export interface X509SvidMessage {
  readonly spiffeId: string
  /** DER of the certificates, leaf first, one after the other. */
  readonly certificates: Uint8Array
  /** DER (PKCS#8). */
  readonly key: Uint8Array
  /** DER of the roots, one after the other. */
  readonly bundle: Uint8Array
  readonly hint: string
}

export interface X509SvidAnswer {
  readonly svids: readonly X509SvidMessage[]
  /** DER of revocation lists. */
  readonly revocationLists: readonly Uint8Array[]
  /** DER of the roots, one after the other, by ID of the trust domain. */
  readonly federatedBundles: ReadonlyMap<string, Uint8Array>
}

export interface JwtSvidRequest {
  readonly audience: readonly string[]
  /** Empty for whatever the workload has. */
  readonly spiffeId: string
}

export interface JwtSvidMessage {
  readonly spiffeId: string
  readonly token: string
  readonly hint: string
}

const none = new Uint8Array()

/** @throws ProtobufError */
export function readX509SvidAnswer(message: Uint8Array): X509SvidAnswer {
  const svids: X509SvidMessage[] = []
  const revocationLists: Uint8Array[] = []
  const federatedBundles = new Map<string, Uint8Array>()
  readFields(message, (number, payload) => {
    if (number === 1) svids.push(readX509Svid(bounded(svids.length, payload)))
    else if (number === 2) revocationLists.push(bounded(revocationLists.length, payload))
    else if (number === 3) putEntry(federatedBundles, payload)
  })
  return { svids, revocationLists, federatedBundles }
}

function readX509Svid(message: Uint8Array): X509SvidMessage {
  const svid = { spiffeId: '', certificates: none, key: none, bundle: none, hint: '' }
  readFields(message, (number, payload) => {
    if (number === 1) svid.spiffeId = text(payload)
    else if (number === 2) svid.certificates = Uint8Array.from(payload)
    else if (number === 3) svid.key = Uint8Array.from(payload)
    else if (number === 4) svid.bundle = Uint8Array.from(payload)
    else if (number === 5) svid.hint = text(payload)
  })
  return svid
}

export function x509SvidAnswer({ svids, revocationLists, federatedBundles }: X509SvidAnswer): Uint8Array {
  return Buffer.concat([
    ...svids.map(({ spiffeId, certificates, key, bundle, hint }) =>
      entry(
        1,
        Buffer.concat([field(1, spiffeId), field(2, certificates), field(3, key), field(4, bundle), field(5, hint)]),
      ),
    ),
    ...revocationLists.map((list) => entry(2, list)),
    ...mapEntries(3, federatedBundles),
  ])
}

/** @param bundles DER of the roots, one after the other, by ID of the trust domain */
export function x509BundlesAnswer(
  bundles: ReadonlyMap<string, Uint8Array>,
  revocationLists: readonly Uint8Array[] = [],
): Uint8Array {
  return Buffer.concat([...revocationLists.map((list) => entry(1, list)), ...mapEntries(2, bundles)])
}

/** @throws ProtobufError */
export function readJwtSvidRequest(message: Uint8Array): JwtSvidRequest {
  const audience: string[] = []
  let spiffeId = ''
  readFields(message, (number, payload) => {
    if (number === 1) audience.push(text(bounded(audience.length, payload)))
    else if (number === 2) spiffeId = text(payload)
  })
  return { audience, spiffeId }
}

export function jwtSvidRequest({ audience, spiffeId }: JwtSvidRequest): Uint8Array {
  return Buffer.concat([...audience.map((each) => entry(1, Buffer.from(each))), field(2, spiffeId)])
}

/** @throws ProtobufError */
export function readJwtSvidAnswer(message: Uint8Array): readonly JwtSvidMessage[] {
  const svids: JwtSvidMessage[] = []
  readFields(message, (number, payload) => {
    if (number !== 1) return
    const svid = { spiffeId: '', token: '', hint: '' }
    readFields(bounded(svids.length, payload), (inner, value) => {
      if (inner === 1) svid.spiffeId = text(value)
      else if (inner === 2) svid.token = text(value)
      else if (inner === 3) svid.hint = text(value)
    })
    svids.push(svid)
  })
  return svids
}

export function jwtSvidAnswer(svids: readonly JwtSvidMessage[]): Uint8Array {
  return Buffer.concat(
    svids.map(({ spiffeId, token, hint }) =>
      entry(1, Buffer.concat([field(1, spiffeId), field(2, token), field(3, hint)])),
    ),
  )
}

/**
 * @returns JWKS documents by ID of the trust domain
 * @throws ProtobufError
 */
export function readJwtBundlesAnswer(message: Uint8Array): ReadonlyMap<string, Uint8Array> {
  const bundles = new Map<string, Uint8Array>()
  readFields(message, (number, payload) => {
    if (number === 1) putEntry(bundles, payload)
  })
  return bundles
}

export function jwtBundlesAnswer(bundles: ReadonlyMap<string, Uint8Array>): Uint8Array {
  return Buffer.concat(mapEntries(1, bundles))
}

export interface ValidateJwtSvidRequest {
  readonly audience: string
  readonly token: string
}

/** @throws ProtobufError */
export function readValidateJwtSvidRequest(message: Uint8Array): ValidateJwtSvidRequest {
  const request = { audience: '', token: '' }
  readFields(message, (number, payload) => {
    if (number === 1) request.audience = text(payload)
    else if (number === 2) request.token = text(payload)
  })
  return request
}

export function validateJwtSvidRequest({ audience, token }: ValidateJwtSvidRequest): Uint8Array {
  return Buffer.concat([field(1, audience), field(2, token)])
}

/** @param claims of the token, as they stand in its JSON */
export function validateJwtSvidAnswer(spiffeId: string, claims: Readonly<Record<string, unknown>>): Uint8Array {
  return Buffer.concat([field(1, spiffeId), entry(2, struct(claims))])
}

/**
 * The ID that the API found in a token; its claims are in the token too.
 * @throws ProtobufError
 */
export function readValidateJwtSvidAnswer(message: Uint8Array): string {
  let spiffeId = ''
  readFields(message, (number, payload) => {
    if (number === 1) spiffeId = text(payload)
  })
  return spiffeId
}

/** A map is a list of messages with key and value; of two with one key the later counts. */
function putEntry(map: Map<string, Uint8Array>, message: Uint8Array): void {
  let key = ''
  let value: Uint8Array = none
  readFields(bounded(map.size, message), (number, payload) => {
    if (number === 1) key = text(payload)
    else if (number === 2) value = Uint8Array.from(payload)
  })
  map.set(key, value)
}

function mapEntries(number: number, map: ReadonlyMap<string, Uint8Array>): Uint8Array[] {
  return Array.from(map, ([key, value]) => entry(number, Buffer.concat([field(1, key), field(2, value)])))
}

function bounded(members: number, payload: Uint8Array): Uint8Array {
  if (members >= maxMembers) throw new ProtobufError(`a list has more than ${maxMembers} members`)
  return payload
}
