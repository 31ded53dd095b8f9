// Holds the table of variables, the classes behind it, and the documentation together.
import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { functionTable, Variables, variableTable } from '../../policy/environment.ts'
import { expressionProblem } from '../../policy/expression.ts'
import { View } from '../../policy/view.ts'
import { question } from './support.ts'

const page = readFileSync(new URL('../../docs/policy.md', import.meta.url), 'utf8')
const [, section = ''] = page.split(/^## Expressions$/m)

describe('what expressions can see', () => {
  it.each(variableTable.map((row) => ({ ...row })))(
    '$name is there, of the type that the table says',
    ({ name, type }) => {
      const found = /this one is of type (.+)$/.exec(expressionProblem(name) ?? '')?.[1]
      expect(found).toBe(type === 'timestamp' ? 'google.protobuf.Timestamp' : type)
    },
  )

  it('is all in the table', () => {
    const variables = new Variables(new View(question()))
    const groups = ['caller', 'principal', 'chain', 'request'] as const
    const fields = groups.flatMap((group) =>
      Object.entries(Object.getOwnPropertyDescriptors(Object.getPrototypeOf(variables[group])))
        .filter(([, descriptor]) => descriptor.get !== undefined)
        .map(([name]) => `${group}.${name}`),
    )
    expect([...fields, 'now'].toSorted()).toEqual(variableTable.map(({ name }) => name).toSorted())
  })

  it('is documented, each with its type and description, and nothing else is', () => {
    const rows = [...section.matchAll(/^\| `([a-z_.]+)` \| `([^`]+)` \| (.+) \|$/gm)].map(
      ([, name, type, description]) => ({ name, type, description }),
    )
    expect(rows).toEqual(variableTable.map(({ name, type, description }) => ({ name, type, description })))
  })

  it('has its own functions documented too', () => {
    for (const { signature, description } of functionTable)
      expect(section).toContain(`| \`${signature}\` | ${description} |`)
  })
})
