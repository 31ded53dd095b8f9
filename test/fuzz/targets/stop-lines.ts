// The file of stops: lines that somebody may have edited.
import { liveOf, parseLines, toLine } from '../../../proxy/stop/stop-lines.ts'
import { must, mustEqual, type Target, utf8 } from '../target.ts'

const order =
  '{"order":{"id":"s1","what":{"kind":"agent","id":"spiffe://acme.example/a/*"},"reason":"because","at":1700000000000,"by":"uid 0"}}\n'

export const target: Target = {
  name: 'stop-lines',
  longest: 900,
  seeds: [
    order,
    `${order}{"lift":{"id":"s1","at":1700000000001,"by":"uid 0"}}\n`,
    '{"order":{"id":"x","what":{"kind":"all"},"reason":"r","at":1,"since":2,"until":3,"by":"file"}}\n\n{"order":{"id":"y","what":{"kind":"delegation","jti":"j"},"reason":"r","at":1,"by":"f"}}',
  ],
  dictionary: [
    order,
    '"order":',
    '"lift":',
    '"id":"s1"',
    '"kind":"',
    'user',
    'txn',
    'destination',
    '"until":',
    'null',
    '\n',
    '\r',
    '\\n',
    '\u2028',
    '{}',
    '"__proto__":',
  ],
  run(input) {
    let faults = 0
    const text = utf8(input)
    const entries = parseLines(text, () => faults++)
    const lines = text.split('\n').filter((line) => line.trim() !== '')
    mustEqual(entries.length + faults, lines.length, 'lines that nobody tells of')
    const again = parseLines(entries.map(toLine).join(''), () => must(false, 'what we write we do not read'))
    mustEqual(again, entries, 'entries that do not come back')
    const ids = new Set(entries.flatMap((entry) => ('order' in entry ? [entry.order.id] : [])))
    const live = liveOf(entries)
    must(live.length <= ids.size && live.every(({ id }) => ids.has(id)), 'a stop from nowhere')
    for (const [index, entry] of entries.entries())
      if (
        'order' in entry &&
        !entries.slice(index + 1).some((later) => 'lift' in later && later.lift.id === entry.order.id)
      )
        must(
          live.some(({ id }) => id === entry.order.id),
          'an order that is forgotten',
        )
  },
}
