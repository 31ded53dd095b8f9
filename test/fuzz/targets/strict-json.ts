// JSON of tokens, read so that it can be read in one way only; held against JSON.parse.
import { canonical } from '../../../policy/delegation/canonical.ts'
import { ChainError } from '../../../policy/delegation/error.ts'
import { type JsonValue, readJson } from '../../../policy/delegation/strict-json.ts'
import { jsonSigns } from '../json.ts'
import { must, mustEqual, type Target, unlessRefused, utf8 } from '../target.ts'

const isNamed = (error: unknown) =>
  error instanceof ChainError &&
  ['chain_malformed', 'chain_duplicate_member', 'chain_non_finite'].includes(error.reason)

export const target: Target = {
  name: 'strict-json',
  longest: 800,
  seeds: [
    '{"alg":"Ed25519","typ":"at+jwt","kid":"root-1"}',
    '[1,-0,0.5,1e3,1E-7,12345678901,true,false,null,"\\u00e9\\n","",{}]',
    ' { "a" : [ { "b" : "c\\\\\\"" } ] }\n',
    '{"__proto__":{"x":1},"constructor":2}',
  ],
  dictionary: [
    ...[...jsonSigns, '\\', '\\u', '\\ud800', '\\udc00', 'true', 'false', 'null', 'NaN', '-Infinity'],
    ...[
      '1e400',
      '9007199254740993',
      '-0',
      '00',
      '.5',
      '1.',
      '"a":1,',
      '"__proto__":',
      '\ufeff',
      '\u2028',
      ' ',
      '\t',
      '/**/',
    ],
  ],
  run(input) {
    const value = unlessRefused(() => readJson(input), isNamed)
    if (value === undefined) return
    const text = utf8(input)
    const expected: JsonValue = JSON.parse(text)
    const written = canonical(value)
    mustEqual(written, canonical(expected), 'JSON.parse reads something else')
    mustEqual(canonical(readJson(Buffer.from(written))), written, 'the canonical form has another one')
    must(isClean(value), 'an object with a prototype')
  },
}

function isClean(value: JsonValue): boolean {
  if (typeof value !== 'object' || value === null) return true
  if (Array.isArray(value)) return value.every(isClean)
  return Object.getPrototypeOf(value) === null && Object.values(value).every(isClean)
}
