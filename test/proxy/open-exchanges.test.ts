import fc from 'fast-check'
import { describe, expect, it, vi } from 'vitest'
import type { Reached } from '../../proxy/exchange.ts'
import { mostAtOnce, OpenExchanges } from '../../proxy/open-exchanges.ts'
import { Refusal } from '../../proxy/refusal.ts'

const exchange = (id: number) => ({
  story: { reached: { id: String(id) } as Reached },
  reply: { cut: vi.fn(() => true) },
})

describe('the exchanges under way', () => {
  it('are those that came and have not left, whatever the order in which they leave', () => {
    fc.assert(
      fc.property(fc.array(fc.nat({ max: 19 }), { maxLength: 100 }), (moves) => {
        const open = new OpenExchanges()
        const all = Array.from({ length: 20 }, (_, id) => exchange(id))
        const inside = new Set<number>()
        for (const id of moves) {
          const one = all[id] ?? exchange(id)
          if (inside.delete(id)) open.leave(one)
          else {
            inside.add(id)
            open.enter(one)
          }
          // Leaving twice takes nobody else out.
          if (!inside.has(id)) open.leave(one)
        }
        const judged: string[] = []
        open.review(({ id }) => {
          judged.push(id)
          return undefined
        })
        expect(judged.toSorted()).toEqual([...inside].map(String).toSorted())
        expect(open.size).toBe(inside.size)
      }),
    )
  })

  it('of one caller are bounded, and those of another are not touched', () => {
    const open = new OpenExchanges()
    const theirs = Array.from({ length: mostAtOnce + 1 }, (_, id) => exchange(id))
    for (const one of theirs.slice(0, mostAtOnce)) open.known(one, 'spiffe://acme.example/greedy')
    const [another = exchange(0), one = exchange(0)] = [theirs.at(-1), theirs[0]]
    expect(() => open.known(another, 'spiffe://acme.example/greedy')).toThrow('too_many_at_once')
    open.known(exchange(-1), 'spiffe://acme.example/modest')
    open.enter(one)
    open.leave(one)
    open.known(another, 'spiffe://acme.example/greedy')
  })

  it('are cut when the judgement is against them, and only they', () => {
    const open = new OpenExchanges()
    const [good, bad] = [exchange(1), exchange(2)]
    open.enter(good)
    open.enter(bad)
    const refusal = new Refusal('no_rule')
    const cut = open.review(({ id }) => {
      if (id === '2') throw refusal
      return undefined
    })
    expect(cut).toBe(1)
    expect(bad.reply.cut).toHaveBeenCalledWith(refusal)
    expect(good.reply.cut).not.toHaveBeenCalled()
  })
})
