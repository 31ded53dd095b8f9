import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Agent, agentMatches, agentPattern, isSubtree, subtreeOf } from '../../policy/agents.ts'

describe('a pattern of agents', () => {
  it.each([
    '*',
    'spiffe://*',
    'spiffe://acme.example',
    'spiffe://acme.example/',
    'spiffe://acme.example/a/',
    'spiffe://acme.example/*/b',
    'spiffe://acme.example/a*',
    'spiffe://acme.example/**',
    'spiffe://*.example/a',
    'spiffe://Acme.example/a',
    'spiffe://acme.example//a',
    'spiffe://acme.example/../a',
    'spiffe://acme.example/./a',
    'spiffe://acme.example/a/..',
    'spiffe://acme.example/../*',
    'spiffe://acme.example:443/a',
    'spiffe://user@acme.example/a',
    'spiffe://acme.example/a%2f',
    'spiffe:///a',
    'SPIFFE://acme.example/a',
    'https://acme.example/a',
    'spiffe://acme.example/a\n',
  ])('%j is refused', (pattern) => {
    expect(agentPattern.test(pattern)).toBe(false)
  })

  it.each([
    'spiffe://acme.example/a',
    'spiffe://acme.example/*',
    'spiffe://acme.example/..a/b..',
    'spiffe://a-b_c.d/A/*',
  ])('%j is accepted', (pattern) => {
    expect(agentPattern.test(pattern)).toBe(true)
  })

  it.each([
    ['spiffe://td/a', 'spiffe://td/a', true],
    ['spiffe://td/a', 'spiffe://td/a/b', false],
    ['spiffe://td/a', 'spiffe://td/A', false],
    ['spiffe://td/a/*', 'spiffe://td/a', false],
    ['spiffe://td/a/*', 'spiffe://td/a/', false],
    ['spiffe://td/a/*', 'spiffe://td/ab', false],
    ['spiffe://td/a/*', 'spiffe://td/a/b', true],
    ['spiffe://td/a/*', 'spiffe://td/a/b/c', true],
    ['spiffe://td/*', 'spiffe://td.evil/a', false],
    ['spiffe://td/*', 'spiffe://td/a', true],
  ])('%j on %j is %j', (pattern, id, expected) => {
    expect(agentMatches(pattern, id)).toBe(expected)
  })

  it('that means a subtree matches exactly the IDs whose subtrees include it', () => {
    const path = fc.array(fc.constantFrom('a', 'b', 'ab'), { minLength: 1, maxLength: 4 })
    fc.assert(
      fc.property(path, path, fc.boolean(), (below, id, subtree) => {
        const pattern = `spiffe://td/${below.join('/')}${subtree ? '/*' : ''}`
        const agent = new Agent(`spiffe://td/${id.join('/')}`)
        const found = isSubtree(pattern) ? agent.subtrees.includes(subtreeOf(pattern)) : agent.id === pattern
        expect(found).toBe(agentMatches(pattern, agent.id))
      }),
    )
  })
})
