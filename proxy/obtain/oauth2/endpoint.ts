// Which URLs a token server may be spoken to at: HTTPS, or HTTP on loopback where the configuration says so.

const loopback = /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])$/

/**
 * Secrets and tokens travel there, so cleartext never leaves the machine (RFC 6749 §3.2).
 * @returns what is wrong with it, as the rest of a sentence; undefined when nothing is
 */
export function endpointProblem(text: string, allowCleartextLoopback: boolean): string | undefined {
  const url = URL.parse(text)
  if (url === null) return 'is not an absolute URL'
  if (url.username !== '' || url.password !== '') return 'holds user information'
  if (text.includes('#')) return 'has a fragment'
  if (url.protocol === 'https:') return undefined
  if (url.protocol !== 'http:') return 'is not an HTTPS URL'
  if (!loopback.test(url.hostname)) return 'is not an HTTPS URL; HTTP is for loopback only'
  return allowCleartextLoopback ? undefined : 'is not an HTTPS URL; allowCleartextLoopback is not set'
}

/** An issuer has no query either (RFC 8414 §2). */
export function issuerProblem(text: string, allowCleartextLoopback: boolean): string | undefined {
  return text.includes('?') ? 'has a query' : endpointProblem(text, allowCleartextLoopback)
}
