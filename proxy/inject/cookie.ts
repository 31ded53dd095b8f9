// A cookie (RFC 6265). The others that the agent sends stay.
import { agentCredential, type Fingerprint } from './agent-credentials.ts'
import type { Draft } from './draft.ts'
import { unwritable } from './field-value.ts'
import type { Writer } from './writer.ts'

/** §4.1.1, cookie-octet. */
const octets = /^[\x21\x23-\x2b\x2d-\x3a\x3c-\x5b\x5d-\x7e]+$/

export function cookie(name: string, fingerprint: Fingerprint): Writer {
  return {
    kind: 'cookie',
    write({ secret }, draft) {
      const value = secret.reveal()
      if (!octets.test(value)) throw unwritable(secret, 'a cookie')
      const others = takeCookies(draft).filter((pair) => {
        const equals = pair.indexOf('=')
        if ((equals === -1 ? pair : pair.slice(0, equals)).trim() !== name) return true
        const own = agentCredential('agent_credential_removed', `cookie:${name}`, pair.slice(equals + 1), fingerprint)
        draft.findings.push(own)
        return false
      })
      draft.headers.push('cookie', [...others, `${name}=${value}`].join('; '))
      return [secret]
    },
  }
}

/** Takes all cookies out of the draft: a request has one field for them (§5.4). */
function takeCookies(draft: Draft): string[] {
  const pairs: string[] = []
  const kept: string[] = []
  for (let at = 0; at < draft.headers.length; at += 2) {
    const [name = '', value = ''] = draft.headers.slice(at, at + 2)
    if (name.toLowerCase() === 'cookie') pairs.push(...value.split(';').map((pair) => pair.trim()))
    else kept.push(name, value)
  }
  draft.headers = kept
  return pairs.filter((pair) => pair !== '')
}
