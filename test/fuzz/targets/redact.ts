// The search for secrets in bodies, against a search of the whole body for every way of writing them: nothing may pass, wherever
// it is cut, and nothing else may be touched.
import { formsOf, shortestSecret } from '../../../proxy/redact/encodings.ts'
import { Needles } from '../../../proxy/redact/needles.ts'
import { Scanner } from '../../../proxy/redact/scanner.ts'
import { Secret } from '../../../proxy/secret.ts'
import { encoders, password, token } from '../../proxy/redact/encoders.ts'
import { latin1, must, mustEqual, type Target } from '../target.ts'

interface Sought {
  readonly value: string
  readonly needles: Needles
  /** As each encoder writes it. */
  readonly written: readonly string[]
  /** What the search looks for, and the same once escapes are taken off. */
  readonly forms: readonly { readonly text: string; readonly anyCase: boolean }[]
}

const names: Readonly<Record<string, string>> = {
  amp: '&',
  lt: '<',
  gt: '>',
  quot: '"',
  apos: "'",
  sol: '/',
  plus: '+',
  equals: '=',
}
const escapes =
  /%[0-9a-f]{2}|\\u00[0-9a-f]{2}|\\x[0-9a-f]{2}|\\[\\/"']|&#0{0,5}\d{1,3};|&#x0{0,5}[0-9a-f]{1,2};|&(?:amp|lt|gt|quot|apos|sol|plus|equals);/gi

/** Takes off all escapes, and those that come of it, until there is none. */
function unescaped(text: string): string {
  let now = text
  for (let left = 500; left > 0; left--) {
    const next = now.replace(escapes, meaning)
    if (next === now) return now
    now = next
  }
  return now
}

function meaning(written: string): string {
  if (/^\\[\\/"']/.test(written)) return written.slice(1)
  const name = names[written.slice(1, -1)]
  if (name !== undefined) return name
  const [digits = ''] = /[0-9a-f]+(?=;?$)/i.exec(written.replace(/^(?:&#x?|\\[ux]|%)/i, '')) ?? []
  const code = Number.parseInt(digits, /^&#\d/.test(written) ? 10 : 16)
  return code < 256 ? String.fromCharCode(code) : ''
}

const sought: readonly Sought[] = [token, password, 'two words+more', 's3cr'].map((value) => {
  const needles = Needles.of([new Secret('canary', value)])
  if (needles === undefined) throw new Error('too short')
  const forms = formsOf(value).map(({ bytes, anyCase }) => ({ text: latin1(bytes), anyCase }))
  const bare = forms.map(({ text, anyCase }) => ({ text: unescaped(text), anyCase }))
  const written = [value, ...(value.length < 8 ? [] : Object.values(encoders).map((encode) => encode(value)))]
  return {
    value,
    needles,
    written: written.map((text) => Buffer.from(text).toString('latin1')),
    forms: [...forms, ...bare].filter(({ text }) => text.length >= shortestSecret),
  }
})

const marker = 1
/** Bytes of a body: eight times what the search ever holds back. Escapes are taken off as often as they are nested, so its length counts twice. */
const longestBody = 8_192

export const target: Target = {
  name: 'redact',
  longest: 400,
  seeds: [
    Buffer.from('\0\x05data: {"message":"\x01\x00"}\n\n', 'latin1'),
    Buffer.from('\x01\x03a=\x01\x09&b=\x01\x20', 'latin1'),
    Buffer.from(`\0\x11x\x01\x10\x01\x0b${token.slice(0, 20)}`, 'latin1'),
    Buffer.from('\x02\x02a=two+words%2bmore&', 'latin1'),
    Buffer.from('\x03\x01%7\x333cr \\u0073', 'latin1'),
  ],
  dictionary: [
    ...Array.from({ length: 60 }, (_, at) => Buffer.of(marker, at)),
    ...[
      '%',
      '%25',
      '%5c',
      '\\',
      '\\\\',
      '\\u00',
      '\\u005c',
      '\\x',
      '\\/',
      '&#',
      '&#x',
      '&amp;',
      '&sol;',
      ';',
      '%2',
      '%u00',
      '*',
    ],
    ...[
      token.slice(0, 12),
      token.slice(12),
      password.slice(0, 6),
      password.slice(6),
      's3',
      'cr',
      '+',
      ' ',
      '\\"',
      '&quot;',
    ],
  ],
  run(input) {
    const secret = sought[(input[0] ?? 0) % sought.length]
    if (secret === undefined) return
    const body = bodyOf(input.subarray(2), secret)
    const whole = scan(secret.needles, body, body.length)
    const size = 1 + ((input[1] ?? 0) % 40)
    const cut = scan(secret.needles, body, size)
    mustEqual(cut.text, whole.text, `cut into pieces of ${size}`)
    mustEqual(cut.count, whole.count, `counted in pieces of ${size}`)
    const before = latin1(body)
    mustEqual(whole.text.length, before.length, 'the length')
    for (let at = 0; at < before.length; at++)
      must(whole.text[at] === before[at] || whole.text[at] === '*', 'another byte was put in')
    for (const text of secret.written) must(!whole.text.includes(text), `it passes: ${text}`)
    const bare = unescaped(whole.text)
    must(!finds(secret, bare), 'it passes, escaped')
    // Half of one at the end is blanked as well.
    if (whole.count === 0 || finds(secret, before) || finds(secret, unescaped(before))) return
    must(breaksOff(secret, before) || breaksOff(secret, unescaped(before)), 'something else was blanked')
  },
}

function bodyOf(input: Uint8Array, { written }: Sought): Buffer {
  const text = latin1(input).replace(
    /\x01([\0-\xff])/g,
    (_, which: string) => written[which.charCodeAt(0) % written.length] ?? '',
  )
  return Buffer.from(text.slice(0, longestBody), 'latin1')
}

function scan(needles: Needles, body: Buffer, size: number) {
  const scanner = new Scanner(needles)
  const parts: Uint8Array[] = []
  for (let at = 0; at < body.length; at += size) parts.push(scanner.push(body.subarray(at, at + size)))
  parts.push(scanner.finish())
  return { text: latin1(Buffer.concat(parts)), count: scanner.count }
}

function finds({ forms }: Sought, text: string): boolean {
  const lower = text.toLowerCase()
  return forms.some((form) => (form.anyCase ? lower.includes(form.text.toLowerCase()) : text.includes(form.text)))
}

/** What an escape begins with that is not finished, also one of several levels. */
const unfinished = /(?:%[0-9a-f]?|\\+(?:u0{0,2}[0-9a-f]?|x[0-9a-f]?)?|&[#a-z0-9]{0,10})+$/i

function breaksOff({ forms }: Sought, text: string): boolean {
  // Half an escape stands for a byte of which nothing is known.
  const ends = [text, text.replace(unfinished, '')]
  return ends.some((each) => forms.some(({ text: form }) => isBeginning(form.toLowerCase(), each.toLowerCase())))
}

/** Whether a text ends with at least twelve bytes and half of a form. */
function isBeginning(form: string, text: string): boolean {
  for (let length = form.length; length >= 12 && length * 2 >= form.length; length--)
    if (text.endsWith(form.slice(0, length))) return true
  return false
}
