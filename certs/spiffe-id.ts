// SPIFFE IDs and trust domains as values (SPIFFE-ID §2). The only place where text becomes one.

export type SpiffeId = string & { readonly __brand: 'SpiffeId' }
export type TrustDomain = string & { readonly __brand: 'TrustDomain' }

const faults = {
  empty: 'it is empty',
  bad_scheme: 'it does not begin with spiffe://',
  missing_trust_domain: 'the trust domain is missing',
  bad_trust_domain_char: 'a trust domain holds lower-case letters, digits, dots, dashes and underscores only',
  trust_domain_too_long: 'the trust domain is longer than 255 bytes',
  bad_path_char: 'a path segment holds letters, digits, dots, dashes and underscores only',
  empty_segment: 'the path has an empty segment',
  dot_segment: 'the path has a dot segment',
  trailing_slash: 'the path ends in a slash',
  too_long: 'it is longer than 2048 bytes',
  unexpected_path: 'a trust domain has no path',
} as const

export type SpiffeIdFault = keyof typeof faults

/** Text that is not a SPIFFE ID or trust domain. The message does not repeat the text, which may be hostile. */
export class SpiffeIdError extends Error {
  override readonly name = 'SpiffeIdError'
  readonly code: SpiffeIdFault

  constructor(code: SpiffeIdFault) {
    super(`not a SPIFFE ID: ${faults[code]}`)
    this.code = code
  }
}

const prefix = 'spiffe://'
const slash = 0x2f
const dot = 0x2e

/**
 * Reads a SPIFFE ID. Bytes are compared as they are: no case folding, no percent-decoding, no resolving of dots
 * (SPIFFE-ID §2.1, §2.2; the same answers as go-spiffe). The path may be absent: such an ID names the trust domain.
 * @throws SpiffeIdError
 */
export function parseSpiffeId(text: string): SpiffeId {
  if (text === '') throw new SpiffeIdError('empty')
  if (!text.startsWith(prefix)) throw new SpiffeIdError('bad_scheme')
  // §2.3: 2048 bytes are supported, more are never needed. Only ASCII passes below, so characters are bytes.
  if (text.length > 2048) throw new SpiffeIdError('too_long')
  checkPath(text, checkTrustDomain(text, prefix.length))
  return text as SpiffeId
}

/**
 * Reads a trust domain, as its name (`acme.example`) or as the ID of the domain (`spiffe://acme.example`).
 * @throws SpiffeIdError
 */
export function parseTrustDomain(text: string): TrustDomain {
  if (text === '') throw new SpiffeIdError('missing_trust_domain')
  // `:/` and not `://`, so that spiffe:/acme.example is told of its scheme, not of a bad character.
  if (text.includes(':/')) {
    const id = parseSpiffeId(text)
    if (pathOf(id) !== '') throw new SpiffeIdError('unexpected_path')
    return trustDomainOf(id)
  }
  if (checkTrustDomain(text, 0) !== text.length) throw new SpiffeIdError('bad_trust_domain_char')
  return text as TrustDomain
}

/** The trust domain that an ID belongs to. */
export function trustDomainOf(id: SpiffeId): TrustDomain {
  const end = id.indexOf('/', prefix.length)
  return id.slice(prefix.length, end === -1 ? undefined : end) as TrustDomain
}

/** The path of an ID: '' for that of a trust domain, else it begins with a slash. */
export function pathOf(id: SpiffeId): string {
  const start = id.indexOf('/', prefix.length)
  return start === -1 ? '' : id.slice(start)
}

/** @returns where the trust domain ends: at the first slash or the end of the text */
function checkTrustDomain(text: string, start: number): number {
  let end = start
  for (; end < text.length; end++) {
    const code = text.charCodeAt(end)
    if (code === slash) break
    if (!isTrustDomainByte(code)) throw new SpiffeIdError('bad_trust_domain_char')
  }
  if (end === start) throw new SpiffeIdError('missing_trust_domain')
  if (end - start > 255) throw new SpiffeIdError('trust_domain_too_long')
  return end
}

function checkPath(text: string, start: number): void {
  if (start === text.length) return
  let segment = start + 1
  for (let at = segment; at < text.length; at++) {
    const code = text.charCodeAt(at)
    if (code === slash) {
      if (at === segment) throw new SpiffeIdError('empty_segment')
      checkNoDots(text, segment, at)
      segment = at + 1
    } else if (!isPathByte(code)) throw new SpiffeIdError('bad_path_char')
  }
  if (segment === text.length) throw new SpiffeIdError('trailing_slash')
  checkNoDots(text, segment, text.length)
}

function checkNoDots(text: string, start: number, end: number): void {
  if (end - start > 2 || text.charCodeAt(start) !== dot) return
  if (end - start === 1 || text.charCodeAt(start + 1) === dot) throw new SpiffeIdError('dot_segment')
}

function isTrustDomainByte(code: number): boolean {
  return (
    (code >= 0x61 && code <= 0x7a) || (code >= 0x30 && code <= 0x39) || code === 0x2d || code === dot || code === 0x5f
  )
}

function isPathByte(code: number): boolean {
  return isTrustDomainByte(code) || (code >= 0x41 && code <= 0x5a)
}
