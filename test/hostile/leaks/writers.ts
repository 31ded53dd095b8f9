// The encodings in which an upstream writes the secret down: those of the scanner's own tests, and what is peculiar to answers.
import { encoders } from '../../proxy/redact/encoders.ts'

const hex = (character: string) => character.charCodeAt(0).toString(16).padStart(2, '0')
const each = (secret: string, write: (character: string, at: number) => string) => [...secret].map(write).join('')

/** Some for each of the forms that the documents name; from a secret of ASCII characters. */
export const writers: Readonly<Record<string, (secret: string) => string>> = {
  'as it is': (secret) => secret,
  ...encoders,
  'percent escapes in lower case for every byte': (secret) => each(secret, (character) => `%${hex(character)}`),
  'percent escapes for the first half': (secret) =>
    each(secret, (character, at) => (at < secret.length / 2 ? `%${hex(character).toUpperCase()}` : character)),
  'one percent escape': (secret) => each(secret, (character, at) => (at === 5 ? `%${hex(character)}` : character)),
  'every third character in \\u': (secret) =>
    each(secret, (character, at) => (at % 3 === 0 || character === '\\' ? `\\u00${hex(character)}` : character)),
  '\\u, percent, &#; and \\x in turn': (secret) =>
    each(secret, (character, at) => {
      const ways = [
        `\\u00${hex(character)}`,
        `%${hex(character)}`,
        `&#${character.charCodeAt(0)};`,
        `\\x${hex(character)}`,
      ]
      return ways[at % ways.length] ?? ''
    }),
  'base64 with each character in percent escapes': (secret) =>
    each(Buffer.from(`u:${secret}`).toString('base64'), (character) => `%${hex(character)}`),
  'hex with each digit in \\u': (secret) =>
    each(Buffer.from(secret).toString('hex'), (character) => `\\u00${hex(character)}`),
  'base64 of JSON of a URL component, in a URL component': (secret) =>
    encodeURIComponent(Buffer.from(JSON.stringify({ token: encodeURIComponent(secret) })).toString('base64')),
  'hex in upper case of JSON': (secret) =>
    Buffer.from(JSON.stringify({ t: secret }))
      .toString('hex')
      .toUpperCase(),
  'a data: URL': (secret) => `data:text/plain;base64,${Buffer.from(`key=${secret}`).toString('base64')}`,
  'an extended parameter': (secret) => `UTF-8''${encodeURIComponent(secret)}`,
}
