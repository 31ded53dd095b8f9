// What becomes of each header field of a request, by its name.

/**
 * - `passes`
 * - `ends`: belongs to the connection with the agent (RFC 9110 §7.6.1), or is written anew
 * - `connection`: the same, and names further ones that end here
 * - `credential`: says who the agent is to the destination
 * - `encoding`: Accept-Encoding
 * - `oracle`: would let the agent read an echoed credential past the scanner; ends where one is put in
 */
export type FieldClass = 'passes' | 'ends' | 'connection' | 'credential' | 'encoding' | 'oracle'

const names: Readonly<Record<FieldClass, readonly string[]>> = {
  ends: [
    'Host',
    'Keep-Alive',
    'TE',
    'Trailer',
    'Transfer-Encoding',
    'Upgrade',
    'Expect',
    'HTTP2-Settings',
    'Proxy-Authorization',
    'Proxy-Connection',
    // By which right, and proof of whom: meant for this trust domain, never for another.
    'Delegation-Ref',
    'Delegation-Chain',
    'Txn-Token',
    'Workload-Identity-Token',
    'Workload-Proof-Token',
  ],
  connection: ['Connection'],
  credential: [
    'Authorization',
    'X-Api-Key',
    'Api-Key',
    'ApiKey',
    'X-Api-Token',
    'X-Access-Token',
    'X-Auth-Token',
    'X-Goog-Api-Key',
    'X-Amz-Security-Token',
    'X-Vault-Token',
    'Private-Token',
    'Job-Token',
  ],
  encoding: ['Accept-Encoding'],
  // Range would fetch an echo byte by byte; Max-Forwards would have a gateway on the way answer with what it got
  // (RFC 9110 §7.6.2); frames under an extension of WebSocket cannot be looked into.
  oracle: ['Range', 'If-Range', 'Max-Forwards', 'Sec-WebSocket-Extensions'],
  // Only so that the usual ones are known without a conversion to lower case.
  passes: [
    'Accept',
    'Accept-Language',
    'Cache-Control',
    'Content-Encoding',
    'Content-Length',
    'Content-Type',
    'Cookie',
    'If-Match',
    'If-Modified-Since',
    'If-None-Match',
    'Origin',
    'Referer',
    'Sec-Fetch-Mode',
    'Sec-WebSocket-Key',
    'Sec-WebSocket-Protocol',
    'Sec-WebSocket-Version',
    'Traceparent',
    'User-Agent',
    'X-Request-Id',
  ],
}

const known = new Map<string, FieldClass>()
for (const [kind, list] of Object.entries(names) as [FieldClass, readonly string[]][]) {
  for (const name of list) known.set(name, kind).set(name.toLowerCase(), kind)
}

/** Classes of header fields, with one more that carries a credential. */
export class FieldClasses {
  readonly #known = new Map(known)

  /** @param own name of the field that a placement writes itself */
  constructor(own?: string) {
    if (own !== undefined) this.#known.set(own, 'credential').set(plainName(own), 'credential')
  }

  of(name: string): FieldClass {
    return this.#known.get(name) ?? this.#ofRare(name, plainName(name))
  }

  #ofRare(name: string, plain: string): FieldClass {
    // Whoever takes `Content_Length` for the length would see the request end elsewhere than we do.
    if (plain === 'content-length' && name.includes('_')) return 'ends'
    return this.#known.get(plain) ?? (plain.startsWith('proxy-') ? 'ends' : 'passes')
  }
}

/** Lower case, and with dashes: many servers take `X_Api_Key` for `X-Api-Key`. */
export function plainName(name: string): string {
  const lower = name.toLowerCase()
  return lower.includes('_') ? lower.replaceAll('_', '-') : lower
}

/** Whether a field is no place for a credential, since its meaning belongs to the connection, the framing or the proxy. */
export function belongsToProxy(name: string): boolean {
  const kind = new FieldClasses().of(name)
  return (
    kind === 'ends' || kind === 'connection' || kind === 'encoding' || kind === 'oracle' || framing.has(plainName(name))
  )
}

const framing = new Set(['content-length', 'content-encoding', 'content-type', 'cookie'])
