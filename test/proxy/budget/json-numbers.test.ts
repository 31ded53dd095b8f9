// Numbers are found in JSON as a parser would find them, wherever the chunks are cut and whatever else stands there.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { deepest, JsonNumbers } from '../../../proxy/budget/json-numbers.ts'

function read(text: string, paths: readonly string[], size = Number.POSITIVE_INFINITY) {
  const numbers = new JsonNumbers(paths.map((path) => path.split('.')))
  const bytes = Buffer.from(text)
  for (let at = 0; at < bytes.length; at += size) numbers.push(bytes.subarray(at, at + size))
  return numbers.found
}

/** What a parser finds at a path of objects. */
function lookUp(value: unknown, path: string): number | undefined {
  let found: unknown = value
  for (const key of path.split('.')) {
    if (typeof found !== 'object' || found === null || Array.isArray(found) || !Object.hasOwn(found, key))
      return undefined
    found = (found as Record<string, unknown>)[key]
  }
  return typeof found === 'number' ? found : undefined
}

const paths = ['usage', 'usage.total', 'usage.ü', 'a.usage.total']

describe('numbers in JSON', () => {
  it.each([
    ['{"usage":{"total":12}}', 12],
    ['{ "usage" : { "total" : -1.5e+2 } }\n', -150],
    ['{"x":"\\"usage\\":{\\"total\\":9}","usage":{"total":3}}', 3],
    ['{"choices":[{"usage":{"total":9}}],"usage":{"n":[1,2],"total":4}}', 4],
    ['{"\\u0075sage":{"tot\\u0061l":5}}', 5],
    ['{"usage":{"total":1,"total":2}}', 2],
    ['{"usage":{"total":1}}\n{"usage":{"total":7}}\n{"usage":null}\n', 7],
    ['{"usage":{"total":"12"}}', undefined],
    ['{"usage":{"total":{"x":12}}}', undefined],
    ['[{"usage":{"total":12}}]', undefined],
    ['{"usage":{"total":12', undefined],
    ['{"usage":{"total":012}}', undefined],
    ['{"usage":{"total":1e999}}', undefined],
    [`{"usage":{"total":${'1'.repeat(65)}}}`, undefined],
    [`{"${'k'.repeat(2_000)}":1,"usage":{"total":6}}`, 6],
    ['{"usage":]{"total":12}}', undefined],
    ['<html>{"usage":{"total":12}}', undefined],
    [`${'['.repeat(deepest + 1)}{"usage":{"total":12}}`, undefined],
  ])('of %s: %s', (text, expected) => {
    expect(read(text, ['usage.total'])).toEqual([expected])
    expect(read(text, ['usage.total'], 1)).toEqual([expected])
  })

  it('are those that a parser finds', () => {
    const key = fc.oneof(fc.constantFrom('usage', 'total', 'ü', 'a', '"', '\\'), fc.string({ unit: 'binary' }))
    const { tree } = fc.letrec((tie) => ({
      tree: fc.oneof(
        { maxDepth: 5 },
        fc.double({ noNaN: true, noDefaultInfinity: true }),
        fc.integer(),
        fc.string({ unit: 'binary' }),
        fc.constantFrom(true, false, null),
        fc.array(tie('tree'), { maxLength: 4 }),
        fc.dictionary(key, tie('tree'), { maxKeys: 5, noNullPrototype: true }),
      ),
    }))
    const root = fc.oneof(
      tree,
      fc.record({ usage: fc.oneof(tree, fc.record({ total: tree, ü: tree })), a: fc.record({ usage: tree }) }),
    )
    fc.assert(
      fc.property(root, fc.option(fc.nat(3)), fc.integer({ min: 1, max: 50 }), (value, indent, size) => {
        const text = JSON.stringify(value, undefined, indent ?? undefined)
        const parsed: unknown = JSON.parse(text)
        // A key with a dot in it is not what a path means.
        expect(read(`${text}\n`, paths, size)).toEqual(paths.map((path) => lookUp(parsed, path)))
      }),
      { numRuns: 2_000 },
    )
  })

  it('of any bytes are read without failing', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 40 }), { maxLength: 5 }), (chunks) => {
        const numbers = new JsonNumbers([['a', 'b']])
        for (const chunk of chunks) numbers.push(chunk)
        for (const value of numbers.found) expect(value === undefined || Number.isFinite(value)).toBe(true)
      }),
    )
  })
})
