import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Matcher } from '../../../proxy/redact/matcher.ts'
import { Plausible, Stretches } from '../../../proxy/redact/plausible.ts'

const plausible = new Plausible(new Matcher(() => [{ bytes: Buffer.from('k3y/S'), anyCase: false }]))

describe('pairs of bytes', () => {
  it.each(['k3y/S', 'k%33y', '%6B\\u0033', '&#x33;&#121;', '\\/', '%5C/', 'y&sol;S', '\\u00%333', '&%73ol;S', '%252f'])(
    'of an escaped form are possible: %s',
    (text) => {
      for (let at = 1; at < text.length; at++)
        expect([text.slice(at - 1, at + 1), plausible.pairs.has(text.charCodeAt(at - 1), text.charCodeAt(at))]).toEqual(
          [text.slice(at - 1, at + 1), true],
        )
    },
  )

  it.each(['yk', 'S3', '\\"', ' k', 'k ', '",', 'y=', '{\\', 'ky'])('of other texts are not: %s', (text) => {
    expect(plausible.pairs.has(text.charCodeAt(0), text.charCodeAt(1))).toBe(false)
  })
})

describe('stretches in which an escaped form may be', () => {
  /** For each place, whether it is in one. */
  function naive(text: Buffer): boolean[] {
    const inside: boolean[] = []
    for (let start = 0; start < text.length; ) {
      let end = start + 1
      while (end < text.length && plausible.pairs.has(text[end - 1] ?? 0, text[end] ?? 0)) end++
      while (inside.length < end) inside.push(end - start >= plausible.shortest || end === text.length)
      start = end
    }
    return inside
  }

  it('are the same as one finds who looks at every byte, and what is passed over is in none', () => {
    const piece = fc.constantFrom('k3y/S', 'k', '3', 'y', '/', 'S', '%', '2f', '\\u00', '"', ' ', '&', 'sol;', '=')
    const texts = fc.array(piece, { minLength: 1, maxLength: 40 }).map((pieces) => Buffer.from(pieces.join('')))
    fc.assert(
      fc.property(texts, fc.array(fc.nat({ max: 150 }), { maxLength: 10 }), (text, places) => {
        const inside = naive(text)
        const stretches = new Stretches(text, plausible)
        let from = 0
        for (const place of [...places].sort((a, b) => a - b)) {
          const at = Math.max(from, place)
          if (at >= text.length) break
          from = stretches.reach(at)
          if (inside[at]) expect(from).toBe(at)
          expect(inside.slice(at, from)).not.toContain(true)
          expect(inside[from]).toBe(true)
        }
      }),
      { numRuns: 3_000 },
    )
  })
})
