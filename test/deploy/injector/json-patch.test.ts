import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { diff } from '../../../deploy/injector/json-patch.ts'
import { applyPatch } from '../../support/apply-patch.ts'

describe('a JSON Patch', () => {
  it('is empty between equal documents, whatever the order of their members', () => {
    expect(diff({ a: 1, b: [1, { c: null }] }, { b: [1, { c: null }], a: 1 })).toEqual([])
  })

  it('adds a parent that is not there as a whole, and escapes keys', () => {
    expect(diff({}, { metadata: { annotations: { 'postern.dev/status': 'x' } } })).toEqual([
      { op: 'add', path: '/metadata', value: { annotations: { 'postern.dev/status': 'x' } } },
    ])
    expect(diff({ a: {} }, { a: { 'p/q~r': 1 } })).toEqual([{ op: 'add', path: '/a/p~1q~0r', value: 1 }])
  })

  it('puts an item in front of those that are there', () => {
    const user = { name: 'user', image: 'x' }
    const ours = { name: 'postern' }
    expect(diff([user], [ours, user])).toEqual([{ op: 'add', path: '/0', value: ours }])
  })

  it('moves an item that stands in the wrong place', () => {
    const [a, b, c] = ['a', 'b', 'c'].map((name) => ({ name }))
    expect(diff([a, b, c], [c, a, b])).toEqual([{ op: 'move', from: '/2', path: '/0' }])
  })

  it('changes only what differs in an item', () => {
    expect(diff([{ name: 'a', image: '1' }], [{ name: 'a', image: '2' }])).toEqual([
      { op: 'replace', path: '/0/image', value: '2' },
    ])
  })

  it('replaces a list in which two items have one name', () => {
    expect(diff([{ name: 'a' }, { name: 'a' }], [{ name: 'a' }])).toEqual([
      { op: 'replace', path: '', value: [{ name: 'a' }] },
    ])
  })

  it('takes a member of every object for none of its own', () => {
    expect(diff({ constructor: 'x' }, {})).toEqual([{ op: 'remove', path: '/constructor' }])
    expect(diff({}, { toString: 'x' })).toEqual([{ op: 'add', path: '/toString', value: 'x' }])
  })

  const named = fc.uniqueArray(
    fc.record({ name: fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f'), value: fc.integer({ min: 0, max: 2 }) }),
    { selector: ({ name }) => name, maxLength: 6 },
  )
  const document = fc.oneof(
    fc.jsonValue({ maxDepth: 4 }),
    fc.record({ spec: fc.record({ containers: named, volumes: fc.option(named) }, { requiredKeys: [] }) }),
  )

  it('leads from any document to any other', () => {
    fc.assert(
      fc.property(document, document, (before, after) => {
        const [one, other]: [unknown, unknown] = [JSON.parse(JSON.stringify(before)), JSON.parse(JSON.stringify(after))]
        expect(applyPatch(one, diff(one, other))).toEqual(other)
      }),
      { numRuns: 500 },
    )
  })
})
