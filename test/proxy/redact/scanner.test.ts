import fc from 'fast-check'
import { describe, expect, it, vi } from 'vitest'
import { Needles } from '../../../proxy/redact/needles.ts'
import { Scanner } from '../../../proxy/redact/scanner.ts'
import { Secret } from '../../../proxy/secret.ts'
import { encoders, jwt, password, token } from './encoders.ts'

function needlesOf(...values: string[]): Needles {
  const needles = Needles.of(values.map((value) => new Secret('canary', value)))
  if (needles === undefined) throw new Error('no needles')
  return needles
}

/** Passes a text on in pieces that end at `cuts`. */
function scan(needles: Needles, text: string | Buffer, cuts: readonly number[] = []) {
  const scanner = new Scanner(needles)
  const whole = typeof text === 'string' ? Buffer.from(text, 'latin1') : text
  const parts: Uint8Array[] = []
  let from = 0
  for (const cut of [...cuts, whole.length]) {
    parts.push(scanner.push(whole.subarray(from, cut)))
    from = cut
  }
  parts.push(scanner.finish())
  return { text: Buffer.concat(parts).toString('latin1'), count: scanner.count, parts }
}

describe('a secret in an answer', () => {
  for (const [name, secret] of Object.entries({ token, jwt, password })) {
    const needles = needlesOf(secret)
    for (const [form, encode] of Object.entries({ 'its own bytes': (text: string) => text, ...encoders })) {
      it(`is blanked when ${name} stands there as ${form}, wherever it is cut`, () => {
        const encoded = encode(secret)
        const before = 'data: {"message":"'
        const body = `${before}${encoded}", "n": 1}\n\n`
        const whole = scan(needles, body)
        expect(whole.count).toBe(1)
        expect(whole.text.length).toBe(Buffer.byteLength(body, 'latin1'))
        expect(whole.text).not.toContain(encoded)
        expect(whole.text.startsWith(before)).toBe(true)
        expect(whole.text.endsWith('", "n": 1}\n\n')).toBe(true)
        expect(revealed(whole.text, secret)).toEqual([])
        const step = Math.max(1, Math.floor(body.length / 400))
        for (let cut = 1; cut < body.length; cut += step) {
          const split = scan(needles, body, [cut])
          expect(split.text).toBe(whole.text)
          expect(split.count).toBe(1)
        }
      })
    }
  }

  it('is blanked when it comes byte by byte', () => {
    const needles = needlesOf(token)
    for (const encode of Object.values(encoders)) {
      const body = `x${encode(token)}y`
      const cuts = Array.from({ length: body.length - 1 }, (_, at) => at + 1)
      expect(scan(needles, body, cuts)).toMatchObject({ text: scan(needles, body).text, count: 1 })
    }
  })

  it('is counted each time', () => {
    expect(scan(needlesOf(token), `${token} ${token}${token}`)).toMatchObject({ count: 3 })
  })

  it('leaves nothing of two that overlap', () => {
    expect(scan(needlesOf('abcdabcdabcd'), 'xabcdabcdabcdabcdx')).toMatchObject({
      text: `x${'*'.repeat(16)}x`,
      count: 1,
    })
  })

  it('is looked for beside others that were sent with it', () => {
    const other = 'AKIA-other-secret'
    expect(scan(needlesOf(token, other), `${other}|${token}`).text).toBe(
      `${'*'.repeat(other.length)}|${'*'.repeat(token.length)}`,
    )
  })

  it('is blanked when the body breaks off after most of it', () => {
    const { text, count } = scan(needlesOf(token), `error near ${token.slice(0, -3)}`)
    expect(text).toBe(`error near ${'*'.repeat(token.length - 3)}`)
    expect(count).toBe(1)
  })

  it('is blanked when the body breaks off after most of it, escaped', () => {
    const escaped = [...token.slice(0, -3)].map((character) => `%${character.charCodeAt(0).toString(16)}`).join('')
    expect(scan(needlesOf(token), `error near ${escaped}%3`).text).toBe(`error near ${'*'.repeat(escaped.length + 2)}`)
  })

  it('may begin like other text, which passes', () => {
    const text = `${token.slice(0, 10)} and ${token.slice(1)} and ${token.slice(0, -1)}`
    expect(scan(needlesOf(token), `${text}.`)).toMatchObject({ text: `${text}.`, count: 0 })
  })

  it('is found in one byte a character and in UTF-8', () => {
    const secret = 'pässwörd-ü'
    const needles = needlesOf(secret)
    expect(scan(needles, Buffer.from(`<${secret}>`, 'utf8')).text).toBe(`<${'*'.repeat(13)}>`)
    expect(scan(needles, Buffer.from(`<${secret}>`, 'latin1')).text).toBe(`<${'*'.repeat(10)}>`)
  })

  it('is found in a form field with spaces', () => {
    expect(scan(needlesOf('two words+more'), 'a=two+words%2bmore&').text).toBe(`a=${'*'.repeat(16)}&`)
  })

  it('is found though it reads as an escape itself, as it is and without that escape', () => {
    const needles = needlesOf('abca/%61b')
    for (const form of ['abca/%61b', 'abca/ab', 'abca%2F%2561b', 'abca\\/ab'])
      for (const before of ['', '\\u0061'])
        expect(scan(needles, `${before}${form}.`).text).toBe(`${before}${'*'.repeat(form.length)}.`)
  })

  it('is found though it is long and reads as escapes', () => {
    const secret = Array.from({ length: 40 }, (_, at) => `%4${at % 10}x\\/`).join('')
    const escaped = [...secret].map((character) => `%${character.charCodeAt(0).toString(16)}`).join('')
    expect(scan(needlesOf(secret), `a ${escaped} b`).text).toBe(`a ${'*'.repeat(escaped.length)} b`)
    expect(scan(needlesOf(secret), `a ${secret} b`).text).toBe(`a ${'*'.repeat(secret.length)} b`)
  })

  it('of four to seven bytes is found as it is, in hex and escaped, and not in base64', () => {
    const needles = needlesOf('s3cr')
    expect(scan(needles, 'a s3cr, 73336372, %733cr').text).toBe('a ****, ********, ******')
    expect(scan(needles, Buffer.from('s3cr').toString('base64')).count).toBe(0)
  })

  it('of less than four bytes is not looked for', () => {
    expect(Needles.of([new Secret('canary', 'abc')])).toBeUndefined()
  })
})

/** Which simple ways of reading a text bring a part of the secret back: eight bytes in a row. */
function revealed(text: string, secret: string): string[] {
  const readings: Record<string, string> = {
    raw: text,
    percent: text.replace(/%([0-9a-f]{2})/gi, (_, digits) => String.fromCharCode(Number.parseInt(digits, 16))),
    json: text.replace(/\\u00([0-9a-f]{2})/gi, (_, digits) => String.fromCharCode(Number.parseInt(digits, 16))),
    base64: text
      .split(/[^A-Za-z0-9+/_=-]+/)
      .flatMap((word) => [0, 1, 2, 3].map((skip) => Buffer.from(word.slice(skip), 'base64').toString('latin1')))
      .join(' '),
  }
  const parts = Array.from({ length: secret.length - 8 }, (_, at) => secret.slice(at, at + 8))
  return Object.keys(readings).filter((name) => parts.some((part) => readings[name]?.includes(part)))
}

describe('a body without a secret', () => {
  const needles = needlesOf(token)

  it('passes as the very chunks that it came in', () => {
    const scanner = new Scanner(needles)
    const chunk = Buffer.from('{"a":"line\\nnext","b":"50%","c":"x%20y \\u00e9 &amp; \\"q\\""}\n')
    expect(scanner.push(chunk)).toBe(chunk)
    expect(scanner.finish().length).toBe(0)
    expect(scanner.count).toBe(0)
  })

  it('leaves in the tick in which it came, but for what may begin a secret', () => {
    const scanner = new Scanner(needles)
    expect(scanner.push(Buffer.from('data: {"delta":"hello"}\n\n')).length).toBe(25)
    expect(scanner.push(Buffer.from('data: sk-')).length).toBe(6)
    expect(Buffer.from(scanner.push(Buffer.from('other\n\n'))).toString()).toBe('sk-other\n\n')
    expect(Buffer.from(scanner.push(Buffer.from('100%'))).toString()).toBe('100')
    expect(Buffer.from(scanner.push(Buffer.from(' sure\n'))).toString()).toBe('% sure\n')
  })

  it('is not held back without end by escapes of escapes', () => {
    const scanner = new Scanner(needles)
    let held = 0
    for (let at = 0; at < 10_000; at++) held += 3 - scanner.push(Buffer.from('%25')).length
    expect(held).toBeLessThan(5_000)
    held -= scanner.finish().length
    expect(held).toBe(0)
  })
})

/** A search that takes its time: at each byte, every form, every byte of it in every escape. */
function naive(secret: string, text: string): string {
  const blanked = [...text]
  for (const form of naiveForms(secret)) {
    const pattern = new RegExp([...form.text].map((character) => unit(character, form.anyCase)).join(''), 'y')
    for (let at = 0; at < text.length; at++) {
      pattern.lastIndex = at
      const length = pattern.exec(text)?.[0].length ?? 0
      for (let index = at; index < at + length; index++) blanked[index] = '*'
    }
  }
  return blanked.join('')
}

function unit(character: string, anyCase: boolean): string {
  const ways = anyCase ? [...new Set([character.toLowerCase(), character.toUpperCase()])] : [character]
  return `(?:${ways
    .flatMap((way) => {
      const code = way.charCodeAt(0)
      const digits = [...code.toString(16).padStart(2, '0')].map((digit) => `[${digit}${digit.toUpperCase()}]`).join('')
      const escaped = `\\x${code.toString(16).padStart(2, '0')}`
      return [
        escaped,
        `%${digits}`,
        `\\\\+u00${digits}`,
        `\\\\+x${digits}`,
        `&#0{0,3}${code};`,
        `&#[xX]0{0,3}${digits};`,
        ...('/"\'\\'.includes(way) ? [`\\\\+${escaped}`] : []),
      ]
    })
    .join('|')})`
}

function naiveForms(secret: string): { text: string; anyCase: boolean }[] {
  const core = (text: string, alphabet: 'base64' | 'base64url') =>
    [0, 1, 2].map((before) => {
      // What stays the same whatever stands beside is made of the text alone.
      const [a = '', b = ''] = ['\0', '\xff'].map((beside) =>
        Buffer.from(beside.repeat(before) + text + beside.repeat(3), 'latin1').toString(alphabet),
      )
      const same = [...a].map((character, at) => (character === b[at] ? character : ' ')).join('')
      return same.split(' ').sort((x, y) => y.length - x.length)[0] ?? ''
    })
  const both = (text: string) => [...core(text, 'base64'), ...core(text, 'base64url')]
  const once = both(secret)
  const exact = [secret, ...once, ...once.flatMap(both), ...both(encodeURIComponent(secret))]
  return [
    ...exact.map((text) => ({ text, anyCase: false })),
    ...[secret, encodeURIComponent(secret)].map((text) => ({ text: Buffer.from(text).toString('hex'), anyCase: true })),
  ]
}

describe('the scanner beside a naive search of the whole body', () => {
  const secret = 'k3y/Sec+ret_9Z'
  const needles = needlesOf(secret)
  const occurrence = fc
    .tuple(fc.constantFrom(...naiveForms(secret)), fc.infiniteStream(fc.integer({ min: 0, max: 11 })))
    .map(([form, choices]) =>
      [...form.text].map((character) => written(character, form.anyCase, choices.next().value ?? 0)).join(''),
    )
  const filler = fc.oneof(
    fc.string({ unit: fc.constantFrom(...'abkKyY3/S \n{}:"+_eZ9'), maxLength: 12 }),
    fc.constantFrom('%20', '\\n', '\\"', '&lt;', '%3D', '\\u00e9', '\\\\n', '&amp;b', '100%', 'C:\\dir', '\\u4e2d'),
    fc.integer({ min: 1, max: secret.length - 1 }).map((length) => secret.slice(0, length)),
  )
  const body = fc
    .array(fc.oneof({ weight: 3, arbitrary: filler }, { weight: 2, arbitrary: occurrence }), { maxLength: 12 })
    .map((pieces) => `${pieces.join(' ')} .`)
  const cuts = fc.array(fc.nat({ max: 2_000 }), { maxLength: 12 })

  it('finds the same, however the body is cut', () => {
    fc.assert(
      fc.property(body, cuts, (text, places) => {
        const inside = [...new Set(places.filter((place) => place < text.length))].sort((a, b) => a - b)
        expect(scan(needles, text, inside).text).toBe(naive(secret, text))
      }),
      { numRuns: 400 },
    )
  })
})

function written(character: string, anyCase: boolean, choice: number): string {
  const code = character.charCodeAt(0)
  const digits = code.toString(16).padStart(2, '0')
  if (choice === 0) return `%${digits}`
  if (choice === 1) return `%${digits.toUpperCase()}`
  if (choice === 2) return `\\u00${digits}`
  if (choice === 3) return `\\\\u00${digits}`
  if (choice === 4) return `&#${code};`
  if (choice === 5) return `&#x0${digits};`
  if (choice === 6 && character === '/') return '\\/'
  if (choice === 7) return `\\x${digits.toUpperCase()}`
  return anyCase && choice === 8 ? character.toUpperCase() : character
}

/** An escaped byte of more bytes than that is not waited for. */
const mostEscaped = 12

describe('escapes of which parts are escaped again', () => {
  const secret = 'k3y/Sec+ret_9Z'
  const needles = needlesOf(secret)
  type Way = (digits: string, character: string) => string
  const inUrls: readonly Way[] = [
    (_, character) => character,
    (digits) => `%${digits}`,
    (digits) => `%${digits.toUpperCase()}`,
    (digits) => `&#x${digits};`,
    (digits) => `&#${Number.parseInt(digits, 16)};`,
  ]
  // Innermost only: behind a backslash of another escape theirs would quote, or be quoted.
  const everywhere: readonly Way[] = [...inUrls, (digits) => `\\u00${digits}`, (digits) => `\\x${digits}`]
  const escapedAtWill = (text: string, ways: readonly Way[], choices: readonly number[]) =>
    [...text]
      .map((character, at) => {
        const digits = character.charCodeAt(0).toString(16).padStart(2, '0')
        return ways[(choices[at % choices.length] ?? 0) % ways.length]?.(digits, character) ?? character
      })
      .join('')
  const choices = fc.array(fc.oneof(fc.constant(0), fc.nat({ max: everywhere.length - 1 })), {
    minLength: 20,
    maxLength: 80,
  })

  it('are found, whichever they are', () => {
    fc.assert(
      fc.property(choices, choices, choices, fc.nat({ max: 300 }), (inner, middle, outer, cut) => {
        const text = escapedAtWill(
          escapedAtWill(escapedAtWill(secret, everywhere, inner), inUrls, middle),
          inUrls,
          outer,
        )
        const body = `{"said":" ${text} "}`
        const blanked = `{"said":" ${'*'.repeat(text.length)} "}`
        fc.pre(text.length <= mostEscaped * secret.length)
        expect(scan(needles, body, [Math.min(cut, body.length - 1)])).toMatchObject({ text: blanked, count: 1 })
      }),
      { numRuns: 2_000 },
    )
  })
})

describe('the scanner on noise', () => {
  const noise = fc.string({
    unit: fc.constantFrom(
      ...'ab%25CcuUxX0\\/&#;ampq61k&',
      '%61',
      '\\u0061',
      '&amp;',
      'abca',
      '%2561',
      'YWJjYS',
      '61626',
    ),
    maxLength: 200,
  })

  it('gives the same, however the body is cut, in the same length', () => {
    const needles = needlesOf('abca/%61b')
    fc.assert(
      fc.property(noise, fc.array(fc.nat({ max: 400 }), { maxLength: 30 }), (text, places) => {
        const inside = [...new Set(places.filter((place) => place < text.length))].sort((a, b) => a - b)
        const whole = scan(needles, text)
        expect(whole.text.length).toBe(text.length)
        expect(scan(needles, text, inside)).toMatchObject({ text: whole.text, count: whole.count })
      }),
      { numRuns: 3_000 },
    )
  })

  it('lets every plain form be found among it', () => {
    const secret = 'abca/%61b'
    const needles = needlesOf(secret)
    fc.assert(
      fc.property(noise, noise, (before, after) => {
        const { text } = scan(needles, `${before}${secret}${after}`)
        expect(text.slice(before.length, before.length + secret.length)).toBe('*'.repeat(secret.length))
      }),
      { numRuns: 1_000 },
    )
  })

  it('takes any bytes', () => {
    const needles = needlesOf(token)
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 6 }), (chunks) => {
        const scanner = new Scanner(needles)
        const out = Buffer.concat([...chunks.map((chunk) => scanner.push(chunk)), scanner.finish()])
        expect(out.equals(Buffer.concat(chunks))).toBe(true)
      }),
    )
  })
})

describe('hostile bodies', () => {
  const pieces = [
    '%',
    '\\',
    '%25',
    '&amp;',
    '&',
    '\\u00',
    `${'\\'.repeat(999)}n`,
    token.slice(0, -1),
    `${token.slice(0, 20)}%`,
  ]
  const body = (piece: string, length: number) =>
    Buffer.from(piece.repeat(Math.ceil(length / piece.length)).slice(0, length))

  it.each(pieces)('that repeat %j and drip in byte by byte are looked at a bounded number of times', (piece) => {
    const looks = (length: number) => {
      const needles = needlesOf(token)
      const find = vi.spyOn(needles, 'find')
      const scanner = new Scanner(needles)
      for (const byte of body(piece, length)) scanner.push(Buffer.of(byte))
      return find.mock.calls.reduce((sum, [text]) => sum + text.length, 0) / length
    }
    expect(looks(1 << 13)).toBeLessThan(300)
    expect(looks(1 << 14)).toBeLessThan(300)
  })

  it.each(pieces)('that repeat %j take no more than their length in large pieces', (piece) => {
    const needles = needlesOf(token)
    const time = (length: number) => {
      const text = body(piece, length)
      const scanner = new Scanner(needles)
      const began = process.cpuUsage()
      scanner.push(text)
      scanner.finish()
      const { user, system } = process.cpuUsage(began)
      return user + system
    }
    const once = Math.min(...[1, 2, 3, 4].map(() => time(1 << 17)))
    const eightfold = Math.min(...[1, 2, 3].map(() => time(1 << 20)))
    // Quadratic would be sixty-four.
    expect(eightfold / once).toBeLessThan(32)
  })
})
