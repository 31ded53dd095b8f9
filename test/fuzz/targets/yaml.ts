// The text of configuration files, before anything is made of it: every value has its place, and nothing grows beyond its bounds.
import { maxDepth, maxValues, type Place, readDocument } from '../../../proxy/config/document.ts'
import { must, type Target, utf8 } from '../target.ts'

export const target: Target = {
  name: 'yaml',
  longest: 300,
  seeds: [
    'version: 1\nlisten:\n  - { name: a, address: 127.0.0.1:1 }\n  - name: "b"\n',
    'a: &x [1, 2.5, ~, true]\nb: *x\nc: |\n  text\n  more\nd: >-\n  folded\n',
    '? key\n: value\n? [a]\n: b\n"q\\u0041": \'s\'\n',
    '- - - a\n    - b\n- &a { x: &b [*a] }\n',
  ],
  dictionary: [
    ...[
      '\n',
      '\r\n',
      ': ',
      '- ',
      '? ',
      '[',
      ']',
      '{',
      '}',
      ', ',
      '"',
      "'",
      '&a ',
      '*a',
      '!!str ',
      '!x ',
      '|',
      '>',
      '|2-\n',
      '#',
      '---\n',
      '...\n',
      '%YAML 1.1\n',
    ],
    ...[
      '<<: ',
      '__proto__: ',
      '~',
      'null',
      '0o17',
      '0x1F',
      '.inf',
      '.nan',
      '1_000',
      'yes',
      '\t',
      '  ',
      '\ufeff',
      '\u2028',
      '\\x41',
      '[[[[[[[[',
      '&a [*a,*a]',
    ],
  ],
  run(input) {
    const text = utf8(input)
    const { data, root, faults, usable } = readDocument(text)
    must(usable || faults.length > 0, 'unusable without a fault')
    for (const { range, message } of faults) {
      must(message !== '', 'a fault without a message')
      must(range[0] >= 0 && range[0] <= range[1] && range[0] <= text.length, `a fault at ${range}`)
    }
    if (usable) checkPlace(data, root, text.length, 0, { left: maxValues })
  },
}

function checkPlace(
  value: unknown,
  { range, entries }: Place,
  end: number,
  depth: number,
  budget: { left: number },
): void {
  must(depth <= maxDepth, 'deeper than it may be')
  must(budget.left-- > 0, 'more values than there may be')
  must(range[0] >= 0 && range[0] <= range[1] && range[1] <= end, `a value at ${range}`)
  if (typeof value !== 'object' || value === null) return
  must(Array.isArray(value) || Object.getPrototypeOf(value) === null, 'an object with a prototype')
  for (const [name, each] of Object.entries(value)) {
    const entry = entries.get(name)
    must(entry !== undefined, `no place for ${name}`)
    checkPlace(each, entry.place, end, depth + 1, budget)
  }
}
