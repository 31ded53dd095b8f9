// Tells secrets from what merely looks so: by the prefixes that issuers give them, by names, by how random a text is. Says which kind and where, never what.
import { holdsStandIn } from '../../proxy/inject/stand-in.ts'
import { lookalike } from '../exec/environment.ts'

export interface Sighting {
  readonly kind: string
  /** Counted from 1. */
  readonly line: number
}

interface Shape {
  readonly kind: string
  /** Global; the first group, or else all of it, is the secret. */
  readonly pattern: RegExp
  readonly holds?: (secret: string) => boolean
}

const shapes: readonly Shape[] = [
  {
    kind: 'private key',
    pattern:
      /-----BEGIN [A-Z ]*PRIVATE KEY[A-Z ]*-----(?:\s|\\n)+([A-Za-z0-9+/]{24,}|(?:Proc-Type|Comment|Version): )/g,
    holds: (body) => body.endsWith(': ') || varied(body),
  },
  { kind: 'key of OpenAI or Anthropic', pattern: /(?<![A-Za-z0-9_-])sk-([A-Za-z0-9_-]{20,})/g },
  { kind: 'GitHub token', pattern: /(?<![A-Za-z0-9])(?:gh[pousr]_([A-Za-z0-9]{36,})|github_pat_[A-Za-z0-9_]{22,})/g },
  { kind: 'GitLab token', pattern: /(?<![A-Za-z0-9])gl(?:pat|dt|rt|ptt|cbt)-([A-Za-z0-9_-]{20,})/g },
  { kind: 'AWS access key', pattern: /(?<![A-Za-z0-9])(?:AKIA|ASIA)([A-Z2-7]{16})(?![A-Za-z0-9])/g },
  { kind: 'Google API key', pattern: /(?<![A-Za-z0-9])AIza([A-Za-z0-9_-]{35})(?![A-Za-z0-9_-])/g },
  { kind: 'Google access token', pattern: /(?<![A-Za-z0-9])ya29\.([A-Za-z0-9_-]{20,})/g },
  { kind: 'Slack token', pattern: /(?<![A-Za-z0-9])(?:xox[abeprs]|xapp)-([A-Za-z0-9-]{10,})/g },
  { kind: 'Stripe key', pattern: /(?<![A-Za-z0-9])[rs]k_(?:live|test)_([A-Za-z0-9]{16,})/g },
  { kind: 'Hugging Face token', pattern: /(?<![A-Za-z0-9])hf_([A-Za-z0-9]{30,})/g },
  { kind: 'npm token', pattern: /(?<![A-Za-z0-9])npm_([A-Za-z0-9]{36})(?![A-Za-z0-9])/g },
  { kind: 'PyPI token', pattern: /pypi-AgE([A-Za-z0-9_-]{40,})/g },
  { kind: 'SendGrid key', pattern: /(?<![A-Za-z0-9])SG\.([A-Za-z0-9_-]{22}\.[A-Za-z0-9_-]{43})/g },
  { kind: 'Vault token', pattern: /(?<![A-Za-z0-9])hv[sbr]\.([A-Za-z0-9_-]{24,})/g },
  { kind: 'age key', pattern: /AGE-SECRET-KEY-1([A-Z0-9]{50,})/g },
  {
    kind: 'JWT',
    pattern: /(?<![A-Za-z0-9_-])(eyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{20,})/g,
    holds: isJwt,
  },
  {
    kind: 'password in a URL',
    pattern:
      /(?<=[a-z0-9]):\/\/([^\s:@/'"<>${}]{0,200}:[^\s:@/'"<>${}*]{5,200})@(?!(?:[a-z0-9-]+\.)*example\.(?:com|org|net)\b)[A-Za-z0-9[]/gi,
    holds: isPair,
  },
]

/** `name: value`, `name = value`, `"name": "value"`. */
const assignment =
  /(?:token|api[_-]?key|secret[_-]?key|access[_-]?key|private[_-]?key|auth[_-]?key|secret|passw(?:or)?d|credentials?|["_]auth)["']?[ \t]*[:=]{1,2}[ \t]*(["']?)([^\s"',;{}()<>$&[\]]{16,200})(?=["'\s,;}]|$)/gi

/** What is found in a text, such as a file's. */
export function secretsIn(text: string): readonly Sighting[] {
  const found: { kind: string; at: number }[] = []
  for (const { kind, pattern, holds = varied } of shapes) {
    for (const match of text.matchAll(pattern)) {
      const secret = match[1] ?? match[0]
      if (holds(secret) && !holdsStandIn(match[0])) found.push({ kind, at: match.index })
    }
  }
  for (const { index, 1: quote, 2: value = '' } of text.matchAll(assignment)) {
    if (found.some(({ at }) => Math.abs(at - index) < 200)) continue
    if (looksMade(value, quote !== '') && !holdsStandIn(value))
      found.push({ kind: 'value named like a credential', at: index })
  }
  return found.sort((one, other) => one.at - other.at).map(({ kind, at }) => ({ kind, line: lineOf(text, at) }))
}

/** Which kind of secret a variable holds; undefined: none that can be told. */
export function secretInVariable(name: string, value: string): string | undefined {
  if (value === '' || isWayThrough(value)) return undefined
  const [sighting] = secretsIn(value)
  if (sighting !== undefined) return sighting.kind
  if (holdsStandIn(value)) return undefined
  if (lookalike.test(name) && isPassword(value)) return 'value named like a credential'
  return isRandom(value) ? 'random text' : undefined
}

/** A proxy URL of ours: what proves this run, or a handle, at this machine and from this process. */
function isWayThrough(value: string): boolean {
  if (!URL.canParse(value)) return false
  const { username, hostname, protocol } = new URL(value)
  if (protocol !== 'http:' && protocol !== 'https:') return false
  return ['run', 'delegation'].includes(username) && /^(?:127\.|localhost$|\[::1\]$|10\.|169\.254\.)/.test(hostname)
}

/** A user and a password, and neither ours for this run nor one that documents show. */
function isPair(pair: string): boolean {
  const [user = '', password = ''] = [pair.slice(0, pair.indexOf(':')), pair.slice(pair.indexOf(':') + 1)]
  if (['run', 'delegation'].includes(user)) return false
  return !/^(?:x+|pass(?:word)?|secret|token|pw|changeme|example|\.+|%\w+)$/i.test(password)
}

/** Not one of those that documents show. */
function varied(secret: string): boolean {
  return new Set(secret).size >= 8 && !/EXAMPLE|example|xxxx|XXXX|1234567|abcdefg/.test(secret)
}

/** Other things are signed in the same form and are worth nothing to whoever shows them, such as the checkpoints of our records. */
function isJwt(token: string): boolean {
  try {
    const [header = '', payload = ''] = token.split('.')
    const [head, body] = [header, payload].map((part) => JSON.parse(Buffer.from(part, 'base64url').toString('utf8')))
    return typeof head.alg === 'string' && ['iss', 'sub', 'aud', 'exp', 'iat', 'scope'].some((claim) => claim in body)
  } catch {
    return false
  }
}

/** Of what stands behind the name of a credential in a file: not a word, a path, a reference, or another name in code. */
function looksMade(value: string, quoted: boolean): boolean {
  if (notAValue(value) || !/[0-9]/.test(value) || !/[A-Za-z]/.test(value)) return false
  const isHex = /^[0-9a-f]{32,}$/i.test(value)
  if (!quoted && !isHex && /^[A-Za-z_][A-Za-z0-9_.]*$/.test(value) && changes(value) < 0.38) return false
  return varied(value) && entropy(value) >= (isHex ? 3 : 3.3)
}

/** Of a variable with the name of a credential: whatever is neither a place nor a switch. */
function isPassword(value: string): boolean {
  return (
    value.length >= 6 && !notAValue(value) && !/^(?:true|false|none|null|enabled|disabled|\d+|x+|\*+)$/i.test(value)
  )
}

const notAValue = (value: string): boolean => /^(?:\.{0,2}\/|~)/.test(value) || isReference(value)

/** To something that is elsewhere. */
const isReference = (value: string): boolean =>
  /^(?:[A-Za-z]:\\|\$|<|%|\{\{)|:\/\/|^(?:file|env|arn|sha\d+|urn|vault|secret|projects)[:/-]/i.test(value) ||
  /EXAMPLE|^process\.env|^os\.environ/.test(value) ||
  isUuid(value)

const isUuid = (value: string) => /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(value)

/**
 * Whether a text is as keys are: capitals, small letters and digits with no order in them. What is written in hex alone is
 * left out, since hashes are; so is what is long, since data is.
 */
function isRandom(value: string): boolean {
  if (!/^[A-Za-z0-9+/_~-]{24,200}={0,2}$/.test(value) || /^[0-9a-f-]+$/i.test(value)) return false
  if (!/[a-z]/.test(value) || !/[A-Z]/.test(value) || !/[0-9]/.test(value)) return false
  if (isReference(value) || isPath(value)) return false
  return entropy(value) >= 3.9 && changes(value) >= (value.startsWith('/') ? 0.5 : 0.38)
}

/** Base64 has slashes, and base64url dashes and underscores (RFC 4648 §4, §5); names of files have all of them. */
function isPath(value: string): boolean {
  const slashes = (value.match(/\//g) ?? []).length
  return slashes > 0 && (/[-_~]/.test(value) || slashes > 2 + value.length / 16)
}

/** Bits a character. */
export function entropy(text: string): number {
  const counts = new Map<string, number>()
  for (const character of text) counts.set(character, (counts.get(character) ?? 0) + 1)
  let bits = 0
  for (const count of counts.values()) bits -= (count / text.length) * Math.log2(count / text.length)
  return bits
}

/** How often one kind of character follows another: names in code have long runs, random text has not. */
function changes(text: string): number {
  let count = 0
  for (let at = 1; at < text.length; at++) if (kindOf(text.charCodeAt(at)) !== kindOf(text.charCodeAt(at - 1))) count++
  return count / (text.length - 1)
}

function kindOf(code: number): number {
  if (code >= 48 && code <= 57) return 0
  if (code >= 65 && code <= 90) return 1
  return code >= 97 && code <= 122 ? 2 : 3
}

function lineOf(text: string, at: number): number {
  let line = 1
  for (let next = text.indexOf('\n'); next !== -1 && next < at; next = text.indexOf('\n', next + 1)) line++
  return line
}
