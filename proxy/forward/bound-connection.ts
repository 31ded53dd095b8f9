// Some schemes authenticate a connection, not a request: whatever is sent on it later counts as theirs (RFC 4559 §6).
import type { HeaderList } from '../exchange.ts'

const schemes = /^(?:ntlm|negotiate|kerberos|nego2)\b/i

/** Whether a request with these fields would leave its connection in somebody's name, so that nobody else may have it. */
export function bindsConnection(fields: HeaderList): boolean {
  for (let at = 0; at < fields.length; at += 2) {
    if (fields[at]?.length !== 13) continue
    if (fields[at]?.toLowerCase() === 'authorization' && schemes.test(fields[at + 1] ?? '')) return true
  }
  return false
}
