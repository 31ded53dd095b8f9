import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { compilePath, pathPatternProblem, readPath } from '../../policy/paths.ts'

const matches = (pattern: string, path: string) => {
  const readings = readPath(path)
  return readings === undefined ? undefined : compilePath(pattern)(readings.exact)
}

/** The naive reference: segment by segment, every way tried. */
function fits(pattern: readonly string[], path: readonly string[]): boolean {
  const [first, ...rest] = pattern
  if (first === undefined) return path.length === 0
  if (first === '**') {
    for (let skip = 0; skip <= path.length; skip++) if (fits(rest, path.slice(skip))) return true
    return false
  }
  const [segment, ...further] = path
  if (segment === undefined) return false
  const fitting = first === '*' ? segment !== '' : new RegExp(`^${first.replaceAll('*', '.*')}$`).test(segment)
  return fitting && fits(rest, further)
}

describe('a path that cannot be read with certainty', () => {
  it.each([
    ['/a/../b', 'a dot segment'],
    ['/a/%2e%2E/b', 'an encoded dot segment'],
    ['/a/.%2e', 'half of it encoded, at the end'],
    ['/a/./b', 'a single dot'],
    ['/a/..;x=1/b', 'a dot segment with parameters'],
    ['/a/..%2fb', 'a dot segment before an encoded slash'],
    ['/a%2F..%2Fb', 'a dot segment between encoded slashes'],
    ['/a%5C../b', 'a dot segment behind an encoded backslash'],
    ['/a/%', 'a bare percent sign'],
    ['/a/%4', 'half an escape'],
    ['/a/%gg', 'no hex digits'],
    ['/caf\u00e9', 'a byte outside ASCII'],
    ['a/b', 'no slash in front'],
    ['', 'nothing'],
  ])('%j: %s', (path) => {
    expect(readPath(path)).toBeUndefined()
  })
})

describe('a path that can be read', () => {
  it.each([
    ['/a%7Eb', '/a~b', 'unreserved characters are decoded'],
    ['/a%3ab%40', '/a:b@', 'so is what may stand in a segment anyway'],
    ['/a%2fb', '/a%2Fb', 'a slash stays encoded, in upper case'],
    ['/a%5cb', '/a%5Cb', 'a backslash stays encoded'],
    ['/a%252e', '/a%252e', 'nothing is decoded twice'],
    ['/a%e9', '/a%E9', 'bytes outside ASCII stay encoded'],
    ['/a|b', '/a%7Cb', 'what should have been encoded is'],
    ['/a/...', '/a/...', 'three dots are a name'],
    ['/.well-known/x', '/.well-known/x', 'so is a dot with letters'],
    ['//a', '//a', 'empty segments stay'],
  ])('%j is read as %j: %s', (path, text) => {
    expect(readPath(path)?.exact.text).toBe(text)
  })

  it.each([
    ['/a//b', '/a/b'],
    ['/a/b/', '/a/b'],
    ['/a;v=1/b;w', '/a/b'],
    ['/;/', '/'],
    ['/', '/'],
    ['/a', '/a'],
  ])('%j is read by a lenient server as %j', (path, text) => {
    expect(readPath(path)?.lenient.text).toBe(text)
  })
})

describe('a pattern', () => {
  it.each([
    ['v1/x', 'begins with /'],
    ['/a?b', 'without query'],
    ['/a%', 'two hex digits'],
    ['/a**', '** alone between slashes'],
    ['/a/***', '** alone between slashes'],
    ['/a/../b', 'without . and .. segments'],
    ['/a/%2e%2e', 'without . and .. segments'],
    ['/\ud800', 'well-formed Unicode'],
  ])('%j is refused: %s', (pattern, problem) => {
    expect(pathPatternProblem(pattern)).toContain(problem)
  })

  it.each([
    ['/v1/*', '/v1/', false],
    ['/v1/*', '/v1', false],
    ['/v1/*', '/v1/a/b', false],
    ['/v1/**', '/v12', false],
    ['/v1/**', '/v1', true],
    ['/v1/**', '/v1/', true],
    ['/**', '/', true],
    ['/**/x', '/x', true],
    ['/**/x', '/a/b/x', true],
    ['/**/x', '/a/b/xx', false],
    ['/a/**/b/**/c', '/a/c/b/b', false],
    ['/a/**/b/**/c', '/a/x/b/c/b/y/c', true],
    ['/*.json', '/a.json', true],
    ['/a*c/*', '/abbc/d', true],
    ['/é', '/%C3%A9', true],
    ['/a b', '/a%20b', true],
    ['/%2A', '/x', false],
    ['/%2a', '/*', true],
    ['/a|b', '/a%7cb', true],
  ])('%j on %j is %j', (pattern, path, expected) => {
    expect(pathPatternProblem(pattern)).toBeUndefined()
    expect(matches(pattern, path)).toBe(expected)
  })

  it('agrees with the naive reference on whatever is tried', () => {
    const segment = fc.constantFrom('a', 'b', 'ab', 'aab', '')
    const piece = fc.constantFrom('a', 'b', 'ab', '*', '**', 'a*', '*b', 'a*b', '*a*', '')
    fc.assert(
      fc.property(
        fc.array(piece, { minLength: 1, maxLength: 6 }),
        fc.array(segment, { minLength: 1, maxLength: 7 }),
        (pattern, path) => {
          expect(matches(`/${pattern.join('/')}`, `/${path.join('/')}`)).toBe(fits(pattern, path))
        },
      ),
      { numRuns: 10_000 },
    )
  })

  it('does not care how a path is encoded, as long as it means the same', () => {
    const character = fc.constantFrom(...'aZ09-._~!$&:@;=')
    const path = fc.array(fc.tuple(character, fc.boolean(), fc.boolean()), { minLength: 1, maxLength: 12 })
    fc.assert(
      fc.property(path, (characters) => {
        const plain = `/x${characters.map(([c]) => c).join('')}`
        const encoded = `/x${characters.map(([c, escaped, lower]) => (escaped ? percentEncoded(c, lower) : c)).join('')}`
        expect(matches(plain, encoded)).toBe(matches(plain, plain))
      }),
    )
  })

  it('takes time in proportion to a hostile path', () => {
    const path = `/${'a/'.repeat(4_000)}b`
    const start = performance.now()
    expect(matches('/**/a/**/a/**/a/**/a/**/a/**/c', path)).toBe(false)
    expect(performance.now() - start).toBeLessThan(1_000)
  })
})

function percentEncoded(character: string, lower: boolean): string {
  const hex = character.charCodeAt(0).toString(16)
  return `%${lower ? hex : hex.toUpperCase()}`
}
