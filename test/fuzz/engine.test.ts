// The engine finds what is there to be found.
import { describe, expect, it } from 'vitest'
import { Coverage } from './coverage.ts'
import { Engine } from './engine.ts'
import { mutatedJson } from './json.ts'
import { mutated } from './mutate.ts'
import { Random } from './random.ts'
import { Seen } from './seen.ts'
import { latin1, must, type Target } from './target.ts'
import { loadTarget } from './targets.ts'
import { fuzz } from './watch.ts'

describe('the engine', () => {
  const engineOf = (target: Target, coverage: Coverage) =>
    new Engine(target, {
      coverage,
      random: new Random(7),
      seen: new Seen(Seen.bufferFor(3_000)),
      onRun: () => {},
    })

  it('finds what breaks, tells each cause once, and gives the shortest input that does it', async () => {
    using coverage = new Coverage()
    coverage.start()
    const run = (input: Uint8Array) => {
      const text = Buffer.from(input).toString('latin1')
      must(!text.includes('POST'), 'POST')
      if (text.includes('STPO')) throw new RangeError('STPO')
    }
    const engine = engineOf({ name: 'test', seeds: [], dictionary: ['PO', 'ST'], run }, coverage)
    await engine.begin([Buffer.from('some text')])
    await engine.breed({ time: 10_000, inputs: 3_000 })
    expect(engine.figures.inputs).toBe(3_000)
    const found = engine.failures.map(({ kind, input }) => `${kind} ${Buffer.from(input).toString('latin1')}`)
    expect(found.toSorted()).toEqual(['crash POST', 'crash STPO'])
  })

  it('keeps the inputs that reach something new, and of those as few as reach it all', async () => {
    using coverage = new Coverage()
    coverage.start()
    const engine = engineOf(await loadTarget('client-hello'), coverage)
    await engine.begin([Buffer.of(22, 3, 1, 0, 5, 1, 0, 0, 1, 3)])
    const { blocks } = engine.figures
    await engine.breed({ time: 10_000, inputs: 1_000 })
    expect(engine.figures.blocks).toBeGreaterThan(blocks)
    expect(engine.figures.kept).toBeGreaterThan(1)
    expect((await engine.distilled()).length).toBeLessThanOrEqual(engine.figures.kept)
  })

  it('runs no input twice, also in the thread that goes on', async () => {
    const ran: string[] = []
    const run = (input: Uint8Array) => void ran.push(latin1(input))
    const seen = new Seen(Seen.bufferFor(4_000))
    for (const seed of [1, 2]) {
      const target: Target = { name: 'test', seeds: [], dictionary: ['a'], run }
      const engine = new Engine(target, { coverage: undefined, random: new Random(seed), seen, onRun: () => {} })
      await engine.begin([Buffer.from('ab'), Buffer.from('')])
      await engine.breed({ time: 10_000, inputs: 2_000 })
      expect(engine.figures.inputs).toBe(2_000)
    }
    expect(ran).toHaveLength(4_000)
    expect(new Set(ran).size).toBe(4_000)
  })

  it('goes on from what reached something, in a thread that counts nothing, up to the number asked for', async () => {
    const result = await fuzz('spiffe-id', { time: 20_000, inputs: 4_000, seed: 1, distil: false })
    expect(result.failures).toEqual([])
    expect(result.inputs).toBe(4_000)
    expect(result.counted).toBe(200)
    expect(result.blocks).toBeGreaterThan(0)
  })

  it('puts in words of JSON that are not changed themselves', () => {
    const values = [{ a: ['b'] }]
    const random = new Random(5)
    for (let left = 200; left > 0; left--) mutatedJson(Buffer.from('{'), random, { names: ['c'], values })
    expect(values).toEqual([{ a: ['b'] }])
  })

  it('makes the same inputs of the same seed', () => {
    const material = { dictionary: [Buffer.from('word')], other: Buffer.from('another input 7'), longest: 100 }
    const input = Buffer.from('some text 12')
    const some = () => {
      const random = new Random(3)
      return Array.from({ length: 200 }, () => latin1(mutated(input, random, material)))
    }
    expect(some()).toEqual(some())
    expect(new Set(some()).size).toBeGreaterThan(100)
    // What is kept stays as it is.
    expect(latin1(input)).toBe('some text 12')
    expect(latin1(material.other)).toBe('another input 7')
  })
})
