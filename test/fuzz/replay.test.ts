// Inputs that once reached something new, or broke something, do no harm.
import { describe, expect, it } from 'vitest'
import { readCorpus } from './corpus.ts'
import { bytesOf } from './target.ts'
import { loadTarget, targetNames } from './targets.ts'

describe('every input that is kept', () => {
  it.each(targetNames())('does no harm to %s', async (name) => {
    const target = await loadTarget(name)
    const inputs = [...target.seeds.map(bytesOf), ...readCorpus(name)]
    for (const input of inputs) {
      try {
        await target.run(input)
      } catch (error) {
        throw new Error(`${name}, on the input ${JSON.stringify(Buffer.from(input).toString('latin1'))}`, {
          cause: error,
        })
      }
    }
    expect(inputs.length).toBeGreaterThan(0)
  })
})
