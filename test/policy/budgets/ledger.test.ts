// Budgets are never overspent, whoever comes in which order, and begin anew with each window.
import fc from 'fast-check'
import { beforeEach, describe, expect, it } from 'vitest'
import { parseSpiffeId } from '../../../certs/spiffe-id.ts'
import { type BudgetSettings, type CostSource, compileBudget } from '../../../policy/budgets/budget.ts'
import { Ledger } from '../../../policy/budgets/ledger.ts'
import { Spending } from '../../../policy/budgets/spending.ts'
import type { Question } from '../../../policy/engine.ts'

const hour = 3_600_000
const agent = 'spiffe://acme.example/agent'

let now: number
beforeEach(() => {
  now = Date.UTC(2026, 0, 5, 9, 30)
})

interface Asked {
  readonly agent?: string
  readonly principal?: string
  readonly txn?: string
  readonly first?: string
  readonly path?: string
  readonly method?: string
}

function question(asked: Asked = {}): Question {
  const id = parseSpiffeId(asked.agent ?? agent)
  return {
    now,
    caller: { id, proofs: [] },
    principal: { kind: asked.principal === undefined ? 'agent' : 'user', id: asked.principal ?? id },
    chain: {
      depth: 0,
      agents: asked.first === undefined ? [] : [asked.first, id],
      scopes: [],
      txn: asked.txn,
    },
    request: {
      method: asked.method ?? 'GET',
      scheme: 'https',
      host: 'api.example',
      port: 443,
      path: asked.path ?? '/',
      query: '',
      headers: [],
    },
  }
}

const budgetOf = (settings: Partial<BudgetSettings>, name = 'b') =>
  compileBudget(name, { per: 'agent', for: {}, every: hour, ...settings })
const ledgerOf = (most?: { accounts: number; paths: number }) => new Ledger(() => now, most)
const header: CostSource = { kind: 'header', name: 'x-cost' }

function taken(result: ReturnType<Ledger['reserve']>): Spending {
  if (result instanceof Spending) return result
  throw new Error(`not taken: ${JSON.stringify(result)}`)
}

describe('a budget', () => {
  it('of requests refuses the one too many, says which and when it renews, and renews', () => {
    const ledger = ledgerOf()
    const budgets = [budgetOf({ requests: 2 }, 'two')]
    taken(ledger.reserve(budgets, question(), 'api'))
    taken(ledger.reserve(budgets, question(), 'api'))
    expect(ledger.reserve(budgets, question(), 'api')).toEqual({
      budget: 'two',
      key: `agent:${agent}`,
      what: 'requests',
      limit: 2,
      at: now,
      renews: Date.UTC(2026, 0, 5, 10),
    })
    now = Date.UTC(2026, 0, 5, 10) - 1
    expect(ledger.reserve(budgets, question(), 'api')).toMatchObject({ what: 'requests' })
    now += 1
    taken(ledger.reserve(budgets, question(), 'api'))
  })

  it.each([
    ['a day at midnight UTC', 86_400_000, Date.UTC(2026, 0, 6)],
    ['a week on Monday', 7 * 86_400_000, Date.UTC(2026, 0, 12)],
    ['an hour with the hour', hour, Date.UTC(2026, 0, 5, 10)],
  ])('begins %s', (_, every, renews) => {
    const ledger = ledgerOf()
    const budgets = [budgetOf({ every, requests: 1 })]
    taken(ledger.reserve(budgets, question(), 'api'))
    expect(ledger.reserve(budgets, question(), 'api')).toMatchObject({ renews })
  })

  it('that is not to be had takes nothing from another', () => {
    const ledger = ledgerOf()
    const wide = budgetOf({ requests: 10 }, 'wide')
    const narrow = budgetOf({ requests: 1 }, 'narrow')
    taken(ledger.reserve([wide, narrow], question(), 'api'))
    for (let n = 0; n < 5; n += 1) {
      expect(ledger.reserve([wide, narrow], question(), 'api')).toMatchObject({ budget: 'narrow' })
    }
    expect(ledger.fullness(wide).used).toBeCloseTo(0.1)
  })

  it('concerns what `for` says, and what cannot be read', () => {
    const ledger = ledgerOf()
    const budgets = [budgetOf({ requests: 1, for: { to: ['api'], methods: ['POST'], paths: ['/v1/**'] } })]
    const post = { method: 'POST', path: '/v1/x' }
    expect(ledger.reserve(budgets, question(post), 'other')).toBeUndefined()
    expect(ledger.reserve(budgets, question({ path: '/v1/x' }), 'api')).toBeUndefined()
    expect(ledger.reserve(budgets, question({ method: 'POST', path: '/v2' }), 'api')).toBeUndefined()
    taken(ledger.reserve(budgets, question({ method: 'POST', path: '/v2/%zz' }), 'api'))
    expect(ledger.reserve(budgets, question(post), 'api')).toMatchObject({ what: 'requests' })
  })

  it('of paths counts each once, however it is written', () => {
    const ledger = ledgerOf()
    const budgets = [budgetOf({ paths: 2 })]
    for (const path of ['/a', '/%61', '/a', '/b']) taken(ledger.reserve(budgets, question({ path }), 'api'))
    expect(ledger.reserve(budgets, question({ path: '/c' }), 'api')).toMatchObject({ what: 'paths', limit: 2 })
    taken(ledger.reserve(budgets, question({ path: '/b' }), 'api'))
  })

  it.each([
    ['agent', { agent: `${agent}/x` }, { agent: `${agent}/y` }],
    ['user', { principal: 'ada' }, { principal: 'bob' }],
    ['root', { principal: 'ada', first: agent }, { principal: 'ada', first: 'spiffe://acme.example/other' }],
    ['root', { principal: 'ada', first: agent }, { principal: 'bob', first: agent }],
    ['txn', { txn: 'one' }, { txn: 'two' }],
    ['txn', { agent: `${agent}/x` }, { agent: `${agent}/y` }],
  ] as const)('per %s is not shared by those who differ in it', (per, one, other) => {
    const ledger = ledgerOf()
    const budgets = [budgetOf({ per, requests: 1 })]
    taken(ledger.reserve(budgets, question(one), 'api'))
    taken(ledger.reserve(budgets, question(other), 'api'))
    expect(ledger.reserve(budgets, question(one), 'api')).toMatchObject({ what: 'requests' })
  })

  it.each([
    ['user', { principal: 'ada', agent: `${agent}/x` }, { principal: 'ada', agent: `${agent}/y` }],
    ['root', { first: agent, principal: 'ada', agent: `${agent}/x` }, { first: agent, principal: 'ada' }],
    ['txn', { txn: 'one', agent: `${agent}/x` }, { txn: 'one', agent: `${agent}/y` }],
  ] as const)('per %s is shared by those who have it in common', (per, one, other) => {
    const ledger = ledgerOf()
    const budgets = [budgetOf({ per, requests: 1 })]
    taken(ledger.reserve(budgets, question(one), 'api'))
    expect(ledger.reserve(budgets, question(other), 'api')).toMatchObject({ what: 'requests' })
  })

  it('gives back what was never sent', () => {
    const ledger = ledgerOf()
    const budgets = [budgetOf({ requests: 1, cost: { units: 10, reserve: 10, from: header } })]
    taken(ledger.reserve(budgets, question(), 'api')).settle({ sent: false, failed: false })
    const second = taken(ledger.reserve(budgets, question(), 'api'))
    second.settle({ sent: true, failed: false })
    // Once is once.
    second.settle({ sent: false, failed: false })
    expect(ledger.reserve(budgets, question(), 'api')).toMatchObject({ what: 'requests' })
  })

  it('keeps a stream from taking bytes of a window that is over', () => {
    const ledger = ledgerOf()
    const budgets = [budgetOf({ responseBytes: 100 })]
    const stream = taken(ledger.reserve(budgets, question(), 'api'))
    expect(stream.takeBytes(90)).toBeUndefined()
    expect(stream.takeBytes(11)).toMatchObject({ what: 'response bytes', limit: 100 })
    expect(stream.takeBytes(10)).toBeUndefined()
    expect(ledger.reserve(budgets, question(), 'api')).toMatchObject({ what: 'response bytes' })
    now += hour
    expect(stream.takeBytes(60)).toBeUndefined()
    expect(taken(ledger.reserve(budgets, question(), 'api')).takeBytes(41)).toMatchObject({ what: 'response bytes' })
  })
})

describe('cost', () => {
  const budgets = [budgetOf({ cost: { units: 100, reserve: 40, from: header } })]

  it('is set aside, so that those under way together cannot have more than there is', () => {
    const ledger = ledgerOf()
    const one = taken(ledger.reserve(budgets, question(), 'api'))
    taken(ledger.reserve(budgets, question(), 'api'))
    expect(ledger.reserve(budgets, question(), 'api')).toMatchObject({ what: 'cost', limit: 100 })
    one.tell(header, 5, true)
    one.settle({ sent: true, failed: false })
    taken(ledger.reserve(budgets, question(), 'api'))
  })

  it.each([
    ['what the answer says', 7, true, false, 7],
    ['what was set aside, where the answer does not say', undefined, true, false, 40],
    ['at least that, where the agent broke off before it could say all', 7, false, false, 40],
    ['more, where it has said so by then', 70, false, false, 70],
    ['nothing, where the request failed', undefined, true, true, 0],
    ['what the answer says, where the request failed and cost something', 3, true, true, 3],
  ])('is %s', (_, told, whole, failed, cost) => {
    const ledger = ledgerOf()
    const spending = taken(ledger.reserve(budgets, question(), 'api'))
    if (told !== undefined) spending.tell(header, told, whole)
    spending.settle({ sent: true, failed })
    expect(spending.charges).toEqual([{ budget: 'b', cost, left: expect.objectContaining({ cost: 100 - cost }) }])
  })
})

describe('room', () => {
  it('that is full is not made by forgetting what somebody has spent', () => {
    const ledger = ledgerOf({ accounts: 2, paths: 10 })
    const budgets = [budgetOf({ requests: 1 })]
    for (const name of ['a', 'b']) taken(ledger.reserve(budgets, question({ agent: `${agent}/${name}` }), 'api'))
    const late = question({ agent: `${agent}/c` })
    expect(ledger.reserve(budgets, late, 'api')).toMatchObject({ what: 'accounts', renews: Date.UTC(2026, 0, 5, 10) })
    expect(ledger.reserve(budgets, question({ agent: `${agent}/a` }), 'api')).toMatchObject({ what: 'requests' })
    now += hour
    taken(ledger.reserve(budgets, late, 'api'))
  })

  it('for paths is bounded for all together', () => {
    const ledger = ledgerOf({ accounts: 10, paths: 3 })
    const budgets = [budgetOf({ paths: 2 })]
    const ask = (name: string, path: string) =>
      ledger.reserve(budgets, question({ agent: `${agent}/${name}`, path }), 'api')
    for (const path of ['/1', '/2']) taken(ask('a', path))
    taken(ask('b', '/1'))
    expect(ask('b', '/2')).toMatchObject({ what: 'accounts', limit: 3 })
    now += hour
    taken(ask('b', '/2'))
  })

  it('is not taken by keys as long as agents like', () => {
    const ledger = ledgerOf()
    const budgets = [budgetOf({ requests: 1 })]
    taken(ledger.reserve(budgets, question({ agent: `${agent}/${'x'.repeat(1_500)}` }), 'api'))
    const [line] = ledger.all()
    expect(line?.key.length).toBeLessThan(100)
  })
})

describe('what is written down', () => {
  it('counts what is under way as spent, and restores it', () => {
    const ledger = ledgerOf()
    const settings = { requests: 5, paths: 5, responseBytes: 100, cost: { units: 100, reserve: 40, from: header } }
    const budgets = [budgetOf(settings)]
    taken(ledger.reserve(budgets, question({ path: '/a' }), 'api')).takeBytes(10)
    const lines = [...ledger.takeChanged()]
    taken(ledger.reserve(budgets, question({ path: '/b' }), 'api'))
    lines.push(...ledger.takeChanged())
    expect(lines.map(({ cost }) => cost)).toEqual([40, 80])

    const later = ledgerOf()
    for (const line of lines) later.restore(JSON.parse(JSON.stringify(line)))
    const spending = taken(
      later.reserve(
        [budgetOf({ ...settings, cost: { units: 100, reserve: 1, from: header } })],
        question({ path: '/b' }),
        'api',
      ),
    )
    expect(spending.charges[0]?.left).toEqual({ requests: 2, responseBytes: 90, paths: 3, cost: 19 })
  })

  it('is forgotten where its window is over', () => {
    const ledger = ledgerOf()
    taken(ledger.reserve([budgetOf({ requests: 5 })], question(), 'api'))
    const [line] = ledger.takeChanged()
    now += hour
    const later = ledgerOf()
    if (line !== undefined) later.restore(line)
    expect([...later.all()]).toEqual([])
  })

  it('is not in force for longer than a window, where the clock was wrong', () => {
    const ledger = ledgerOf()
    const budgets = [budgetOf({ requests: 1 })]
    now += 365 * 24 * hour
    taken(ledger.reserve(budgets, question(), 'api'))
    now -= 365 * 24 * hour
    expect(ledger.reserve(budgets, question(), 'api')).toMatchObject({ renews: Date.UTC(2026, 0, 5, 10) })
  })
})

describe('under any interleaving', () => {
  const limits = { requests: 7, responseBytes: 50, paths: 3, cost: { units: 20, reserve: 4, from: header } }
  const action = fc.oneof(
    { weight: 4, arbitrary: fc.record({ do: fc.constant('reserve' as const), who: fc.nat(2), path: fc.nat(4) }) },
    { weight: 4, arbitrary: fc.record({ do: fc.constant('bytes' as const), which: fc.nat(9), count: fc.nat(30) }) },
    // No more than was set aside, so nothing can be overspent.
    {
      weight: 4,
      arbitrary: fc.record({
        do: fc.constant('settle' as const),
        which: fc.nat(9),
        told: fc.option(fc.nat(4)),
        whole: fc.boolean(),
        sent: fc.boolean(),
        failed: fc.boolean(),
      }),
    },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('wait' as const), time: fc.nat(hour) }) },
    { weight: 1, arbitrary: fc.constant({ do: 'restart' as const }) },
  )

  it('no window sees more than there is of anything', () => {
    fc.assert(
      fc.property(fc.array(action, { maxLength: 120 }), (actions) => {
        now = Date.UTC(2026, 0, 5, 9, 30)
        const budgets = [budgetOf(limits, 'each'), budgetOf({ ...limits, per: 'txn', requests: 12 }, 'all')]
        let ledger = ledgerOf()
        let open: { spending: Spending; window: number; keys: string[] }[] = []
        /** What was really passed and paid, counted apart: by window and key. */
        const seen = new Map<string, { requests: number; bytes: number; cost: number; paths: Set<number> }>()
        const tally = (window: number, key: string) => {
          const id = `${window} ${key}`
          const found = seen.get(id) ?? { requests: 0, bytes: 0, cost: 0, paths: new Set() }
          seen.set(id, found)
          return found
        }
        const window = () => Math.floor(now / hour)
        for (const each of actions) {
          if (each.do === 'wait') now += each.time
          else if (each.do === 'restart') {
            const lines = [...ledger.all()]
            ledger = ledgerOf()
            for (const line of lines) ledger.restore(line)
            // Those under way are gone with the process, and stay paid for.
            for (const { window, keys } of open) for (const key of keys) tally(window, key).cost += 4
            open = []
          } else if (each.do === 'reserve') {
            const asked = { agent: `${agent}/${each.who}`, txn: 'one', path: `/${each.path}` }
            const result = ledger.reserve(budgets, question(asked), 'api')
            if (!(result instanceof Spending)) continue
            const keys = [`each ${each.who}`, 'all']
            for (const key of keys) {
              const counted = tally(window(), key)
              counted.requests += 1
              counted.paths.add(each.path)
            }
            open.push({ spending: result, window: window(), keys })
          } else {
            const exchange = open[each.which % Math.max(1, open.length)]
            if (exchange === undefined) continue
            if (each.do === 'bytes') {
              if (exchange.spending.takeBytes(each.count) !== undefined) continue
              for (const key of exchange.keys) tally(window(), key).bytes += each.count
            } else {
              const { told, whole, sent, failed } = each
              if (told !== null) exchange.spending.tell(header, told, whole)
              exchange.spending.settle({ sent, failed })
              open = open.filter((other) => other !== exchange)
              for (const key of exchange.keys) {
                const counted = tally(exchange.window, key)
                if (!sent) counted.requests -= 1
                else counted.cost += told === null ? (failed ? 0 : 4) : whole ? told : 4
              }
            }
          }
          for (const [id, counted] of seen) {
            expect(counted.requests).toBeLessThanOrEqual(id.endsWith('all') ? 12 : 7)
            expect(counted.bytes).toBeLessThanOrEqual(50)
            expect(counted.cost).toBeLessThanOrEqual(20)
            expect(counted.paths.size).toBeLessThanOrEqual(3)
          }
        }
      }),
      { numRuns: 300 },
    )
  })
})
