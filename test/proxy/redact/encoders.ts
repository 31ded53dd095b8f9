// The ways in which an answer may write a secret, made without the code under test.

export const token = 'sk-proj-Zq8/fT3+xW_1aQ=9kLmN~7'
export const jwt = `eyJhbGciOiJSUzI1NiIsInR5cCI6IkpXVCJ9.${Buffer.from(
  JSON.stringify({
    iss: 'login.acme.example',
    sub: 'spiffe://acme.example/ns/agents/sa/researcher',
    exp: 1_999_999_999,
  }),
).toString(
  'base64url',
)}.${Buffer.from(Array.from({ length: 256 }, (_, at) => (at * 89 + 7) % 256)).toString('base64url')}`
export const password = 'p%41ss "w&rd\\/;<é>'

const hex = (byte: number) => byte.toString(16).padStart(2, '0')
const bytes = (text: string) => [...Buffer.from(text, 'utf8')]
const mixed = (text: string) => [...text].map((digit, at) => (at % 3 === 0 ? digit.toUpperCase() : digit)).join('')

/** Each keeps to bytes below 128, so that the result is the same as bytes. */
export const encoders: Readonly<Record<string, (secret: string) => string>> = {
  'hex in lower case': (secret) => Buffer.from(secret).toString('hex'),
  'hex in upper case': (secret) => Buffer.from(secret).toString('hex').toUpperCase(),
  'hex in mixed case': (secret) => mixed(Buffer.from(secret).toString('hex')),
  'a URL component': (secret) => encodeURIComponent(secret),
  'a URL component in lower case': (secret) => encodeURIComponent(secret).replace(/%../g, (code) => code.toLowerCase()),
  'a form field': (secret) => new URLSearchParams({ a: secret }).toString().slice(2),
  'percent escapes for every byte': (secret) =>
    bytes(secret)
      .map((byte) => `%${hex(byte).toUpperCase()}`)
      .join(''),
  'percent escapes in mixed case for every second byte': (secret) =>
    bytes(secret)
      .map((byte, at) =>
        at % 2 === 0 && byte < 128 && byte !== 0x25 ? String.fromCharCode(byte) : `%${mixed(hex(byte))}`,
      )
      .join(''),
  'a URL component in a URL component': (secret) => encodeURIComponent(encodeURIComponent(secret)),
  'a URL component in a URL component in a URL component': (secret) =>
    encodeURIComponent(encodeURIComponent(encodeURIComponent(secret))),
  'a JSON string with all in \\u': (secret) =>
    [...secret].map((character) => `\\u00${hex(character.charCodeAt(0))}`).join(''),
  'a JSON string with \\u in mixed case for punctuation': (secret) =>
    secret.replace(/[^A-Za-z0-9]/g, (character) => `\\u00${mixed(hex(character.charCodeAt(0)))}`),
  'a JSON string with escaped slashes': (secret) => asciiJson(secret).replaceAll('/', '\\/'),
  'JSON in JSON': (secret) => asciiJson(asciiJson(secret).replaceAll('/', '\\/')),
  'JSON in JSON in JSON': (secret) => asciiJson(asciiJson(asciiJson(secret))),
  'percent escapes, and \\u with a digit in percent escapes, in turn': (secret) =>
    [...secret]
      .map((character, at) => {
        const [high = '', low = ''] = hex(character.charCodeAt(0))
        return at % 2 === 0 && character < '\x80' ? `%${high}${low}` : `\\u00${high < 'a' ? `%3${high}` : high}${low}`
      })
      .join(''),
  'a JavaScript string with all in \\x': (secret) =>
    [...secret].map((character) => `\\x${hex(character.charCodeAt(0))}`).join(''),
  'decimal HTML entities': (secret) => [...secret].map((character) => `&#${character.charCodeAt(0)};`).join(''),
  'hexadecimal HTML entities': (secret) =>
    [...secret].map((character) => `&#x00${mixed(hex(character.charCodeAt(0)))};`).join(''),
  'HTML text': (secret) => html(secret),
  'HTML in HTML': (secret) => html(html(secret)),
  'HTML in a URL component': (secret) => encodeURIComponent(html(secret)),
  'JSON in a URL component': (secret) => encodeURIComponent(asciiJson(secret).replaceAll('/', '\\/')),
  'base64 of a JSON object with a URL component': (secret) =>
    Buffer.from(JSON.stringify({ url: `https://x.example/?key=${encodeURIComponent(secret)}&b=1` })).toString('base64'),
  'base64url of JSON': (secret) => Buffer.from(JSON.stringify({ a: [secret] })).toString('base64url'),
  'base64 in a JSON string with escaped slashes': (secret) =>
    Buffer.from(`:${secret}:`).toString('base64').replaceAll('/', '\\/'),
  'base64 in a URL component': (secret) => encodeURIComponent(Buffer.from(`u:${secret}`).toString('base64')),
  'hex of a URL component': (secret) => Buffer.from(encodeURIComponent(secret)).toString('hex'),
  ...Object.fromEntries(
    ['', 'a', 'ab', 'abc'].flatMap((before) =>
      (['base64', 'base64url'] as const).flatMap((alphabet) => [
        [
          `${alphabet} after ${before.length} bytes`,
          (secret: string) => Buffer.from(`${before}${secret}!`).toString(alphabet),
        ],
        [
          `${alphabet} in ${alphabet} after ${before.length} bytes`,
          (secret: string) =>
            Buffer.from(`"${Buffer.from(`${before}${secret}!`).toString(alphabet)}"`).toString(alphabet),
        ],
      ]),
    ),
  ),
}

function asciiJson(text: string): string {
  return JSON.stringify(text)
    .slice(1, -1)
    .replace(/[^\0-\x7f]/g, (character) => `\\u00${hex(character.charCodeAt(0))}`)
}

function html(text: string): string {
  const names: Record<string, string> = {
    '&': '&amp;',
    '<': '&lt;',
    '>': '&gt;',
    '"': '&quot;',
    "'": '&#39;',
    '/': '&#x2F;',
  }
  return text
    .replace(/[&<>"'/]/g, (character) => names[character] ?? '')
    .replace(/[^\0-\x7f]/g, (c) => `&#${c.charCodeAt(0)};`)
}
