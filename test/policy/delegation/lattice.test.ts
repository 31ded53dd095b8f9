// Attenuation as properties: whatever is handed on, by whomever, in whatever order, is never more than there was.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  type Constraint,
  dimension,
  firstWidened,
  isCumulative,
  meetConstraints,
  permits,
  readConstraints,
  type Scalar,
  writeConstraint,
} from '../../../policy/delegation/constraints.ts'
import { chainReasons } from '../../../policy/delegation/error.ts'
import { DelegationError, mintChild } from '../../../policy/delegation/mint.ts'
import { isCovered, meetScopes } from '../../../policy/delegation/scope.ts'
import { agentAt, forge, gateOf, now, refusal, rootChain, verified } from './support.ts'

interface Authority {
  readonly scopes: readonly string[]
  readonly constraints: readonly Constraint[]
}

const scopes = [
  'crm.*',
  'crm.x.*',
  'crm.x',
  'crm.x.y',
  'crm',
  'crmx.y',
  'crm.X',
  'mail.*',
  'mail.send',
  'User.Read',
  'a.b',
  'a.b.*',
]
const hosts = ['a.example', 'b.example', 'c.example']
const prefixes = ['/', '/repos', '/repos/', '/repos/acme', '/repos/acme/', '/repos/acmeevil', '/repos/acme/x', '/users']
const order = ['none', 'internal', 'any']
/** Each key with all that a request might say of it. */
const universe: Readonly<Record<string, readonly Scalar[]>> = {
  host: [...hosts, 'd.example'],
  path: [...prefixes, '/repos/acme/x/y', '/other', '/repos/acme/../x', '/users/%2e%2e'],
  rows: [-1, 0, 1, 2, 3, 4, 5, 'x'],
  egress: [...order, 'everywhere'],
}

/** Takes choices out of random numbers, as they are asked for. */
class Choices {
  readonly #numbers: readonly number[]
  #at = 0
  #state = 1

  constructor(numbers: readonly number[]) {
    this.#numbers = numbers
  }

  below(count: number): number {
    // Each number serves a few choices; past the last one it goes round.
    if (this.#state < 64) this.#state = (this.#numbers[this.#at++ % this.#numbers.length] ?? 0) + 64
    const choice = this.#state % count
    this.#state = Math.floor(this.#state / count)
    return choice
  }

  some<Item>(list: readonly Item[]): Item[] {
    const mask = 1 + this.below(2 ** Math.min(list.length, 12) - 1)
    return list.filter((_, index) => (mask >> index) & 1)
  }

  constraint(): Constraint {
    switch (this.below(9)) {
      case 0:
        return { key: 'rows', type: 'max', bound: this.below(6) }
      case 1:
        return { key: 'rows', type: 'min', bound: this.below(6) }
      case 2:
        return { key: 'host', type: 'one_of', values: this.some(hosts) }
      case 3:
        return { key: 'host', type: 'not_one_of', values: this.some(hosts) }
      case 4:
        return { key: 'path', type: 'prefix', prefix: prefixes[this.below(prefixes.length)] ?? '/' }
      case 5:
        return { key: 'egress', type: 'rank', rank: order[this.below(3)] ?? 'none', order }
      case 6:
        return { key: 'rows', type: 'max_lifetime', bound: this.below(9) }
      case 7:
        return { key: 'rows', type: 'max_subtree', bound: this.below(9) }
      default:
        return { key: 'zone', type: 'unknown', name: 'region', value: this.below(2) }
    }
  }

  authority(): Authority {
    const constraints = new Map<string, Constraint>()
    for (let left = this.below(5); left > 0; left--) {
      const constraint = this.constraint()
      constraints.set(dimension(constraint), constraint)
    }
    return { scopes: this.some(scopes), constraints: [...constraints.values()] }
  }
}

const numbers = (length: number) => fc.array(fc.nat(), { minLength: length, maxLength: length, size: 'max' })

function meet(parent: Authority, asked: Authority): Authority | undefined {
  const constraints = meetConstraints(parent.constraints, asked.constraints)
  const common = meetScopes(parent.scopes, asked.scopes)
  return 'nothingAt' in constraints || common.length === 0 ? undefined : { scopes: common, constraints }
}

const isWithin = (parent: Authority, child: Authority) =>
  child.scopes.every((scope) => isCovered(scope, parent.scopes)) &&
  firstWidened(parent.constraints, child.constraints) === undefined

function allows(constraints: readonly Constraint[], key: string, value: Scalar): boolean {
  return constraints.every(
    (bound) => bound.key !== key || bound.type === 'unknown' || isCumulative(bound) || permits(bound, value),
  )
}

/** By what may be done, not by how it is written. */
function expectNoWider(parent: Authority, child: Authority): void {
  for (const scope of scopes) {
    if (isCovered(scope, child.scopes) && !isCovered(scope, parent.scopes)) throw new Error(`wider: ${scope}`)
  }
  for (const [key, values] of Object.entries(universe)) {
    for (const value of values) {
      if (allows(child.constraints, key, value) && !allows(parent.constraints, key, value)) {
        throw new Error(`wider: ${key} ${value}`)
      }
    }
  }
}

describe('attenuation', () => {
  it('never widens, in 100,000 random chains', () => {
    let handoffs = 0
    let deepest = 0
    fc.assert(
      fc.property(numbers(12), (random) => {
        const choices = new Choices(random)
        const chain = [choices.authority()]
        for (let hop = 1; hop < 5; hop++) {
          const parent = chain.at(-1)
          const child = parent && meet(parent, choices.authority())
          if (parent === undefined || child === undefined) break
          if (!isWithin(parent, child)) throw new Error('not within its parent')
          if (hop === 1 || choices.below(8) === 0) expectNoWider(parent, child)
          chain.push(child)
          handoffs++
        }
        deepest = Math.max(deepest, chain.length)
        const [root, leaf] = [chain[0], chain.at(-1)]
        if (root === undefined || leaf === undefined || !isWithin(root, leaf)) throw new Error('wider than its root')
      }),
      { numRuns: 100_000 },
    )
    expect(handoffs).toBeGreaterThan(50_000)
    expect(deepest).toBe(5)
  }, 60_000)

  it('of what is within, all that it allows is allowed by what it is within', () => {
    let within = 0
    fc.assert(
      fc.property(numbers(6), (random) => {
        const choices = new Choices(random)
        const [parent, child] = [choices.authority(), choices.authority()]
        if (!isWithin(parent, child)) return
        within++
        expectNoWider(parent, child)
      }),
      { numRuns: 30_000 },
    )
    expect(within).toBeGreaterThan(300)
  }, 60_000)

  it('takes neither more nor less than both have', () => {
    fc.assert(
      fc.property(numbers(6), (random) => {
        const choices = new Choices(random)
        const [one, other] = [choices.authority(), choices.authority()]
        const met = meetConstraints(one.constraints, other.constraints)
        for (const [key, values] of Object.entries(universe)) {
          const both = values.filter(
            (value) => allows(one.constraints, key, value) && allows(other.constraints, key, value),
          )
          if ('nothingAt' in met) {
            if (met.nothingAt.startsWith(`${key} `)) expect(both).toEqual([])
          } else expect(values.filter((value) => allows(met, key, value))).toEqual(both)
        }
      }),
      { numRuns: 5000 },
    )
  }, 60_000)

  it('is the same whatever form the constraints are written in', () => {
    fc.assert(
      fc.property(numbers(4), (random) => {
        const { constraints } = new Choices(random).authority()
        expect(readConstraints(constraints.map(writeConstraint))).toEqual(constraints)
      }),
      { numRuns: 1000 },
    )
  })
})

describe('a minted chain', () => {
  it('verifies, with just what was recorded', async () => {
    let minted = 0
    await fc.assert(
      fc.asyncProperty(numbers(12), async (random) => {
        const choices = new Choices(random)
        let chain = rootChain({ ...choices.authority() })
        for (let hop = 1; hop < 4; hop++) {
          const parent = verified(chain)
          const { id, key } = agentAt(hop)
          const order = { child: id, childKey: key.public, ...choices.authority(), narrow: true, jti: `jti-${hop}` }
          try {
            const made = await mintChild(parent, order, gateOf(agentAt(hop - 1)), now)
            chain = made.chain
            const { leaf, depth } = verified(chain)
            const { scopes: given, constraints, expiresAt, digest } = made.handoff
            expect({ depth, leaf }).toMatchObject({
              depth: hop,
              leaf: { scopes: given, constraints, expiresAt, digest },
            })
            expectNoWider(parent.leaf, leaf)
            minted++
          } catch (error) {
            if (!(error instanceof DelegationError)) throw error
            expect(error.reason).toBe('delegation_not_narrower')
            break
          }
        }
      }),
      { numRuns: 150 },
    )
    expect(minted).toBeGreaterThan(100)
  }, 30_000)

  it('is refused as soon as any one of its bytes is another, with a reason of the table', () => {
    const bound = [{ key: 'host', one_of: ['a.example'] }]
    const bytes = Buffer.from(forge({ constraints: bound }, { constraints: bound }, { constraints: bound }), 'latin1')
    for (let at = 0; at < bytes.length; at++) {
      const flipped = Buffer.from(bytes)
      flipped[at] = (bytes[at] ?? 0) ^ (1 << ((at * 5) % 8))
      expect(refusal(() => verified(flipped.toString('latin1'))).reason in chainReasons).toBe(true)
    }
    fc.assert(
      fc.property(fc.nat(bytes.length - 1), fc.integer({ min: 1, max: 255 }), (at, change) => {
        const changed = Buffer.from(bytes)
        changed[at] = (bytes[at] ?? 0) ^ change
        expect(refusal(() => verified(changed.toString('latin1'))).reason in chainReasons).toBe(true)
      }),
      { numRuns: 500 },
    )
  }, 30_000)

  it('is nothing that noise could be', () => {
    const noise = fc.oneof(
      fc.string(),
      fc.base64String(),
      fc.array(fc.base64String(), { maxLength: 30 }).map((parts) => parts.join('.')),
    )
    fc.assert(
      fc.property(fc.array(noise, { maxLength: 10 }), (tokens) => {
        expect(refusal(() => verified(tokens.join('~'))).reason in chainReasons).toBe(true)
      }),
      { numRuns: 1000 },
    )
  })
})
