// Whatever the file says, it becomes a configuration or an error that says where.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, describe, expect, it } from 'vitest'
import { stringify } from 'yaml'
import { loadConfig } from '../../../proxy/config/load.ts'
import { ConfigError } from '../../../proxy/config/problems.ts'
import { configForm } from '../../../proxy/config/schema.ts'
import type { Form } from '../../../proxy/config/shape.ts'
import { good, goodEnvironment } from './good.ts'

const folder = mkdtempSync(join(tmpdir(), 'postern-fuzz-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))
const file = join(folder, 'postern.yaml')

/** Loads it; fails unless the outcome is a configuration, or an error in which every problem has a place in the text. */
async function outcomeOf(text: string): Promise<'good' | 'refused'> {
  writeFileSync(file, text)
  try {
    expect((await loadConfig(file, goodEnvironment)).version).toBe(1)
    return 'good'
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    // As an editor counts them: what is broken by YAML's rules alone is one line.
    const lines = text.split('\n')
    expect(error.problems.length).toBeGreaterThan(0)
    for (const { line, column, message } of error.problems) {
      expect(message).not.toBe('')
      expect(line).toBeGreaterThanOrEqual(1)
      expect(line).toBeLessThanOrEqual(lines.length)
      expect(column).toBeGreaterThanOrEqual(1)
      expect(column).toBeLessThanOrEqual((lines[line - 1] ?? '').length + 1)
    }
    expect(error.render()).toContain('problem')
    return 'refused'
  }
}

async function holds(text: string): Promise<void> {
  await outcomeOf(text)
}

/** Every key that the schema knows, and some that it does not. */
const keys = [...new Set(keysIn(configForm())), '__proto__', 'constructor', 'toString', 'x', '0', '']

function keysIn(form: Form): string[] {
  const { properties = {}, additionalProperties, items, anyOf = [], oneOf = [], prefixItems = [] } = form
  const inner = [...Object.values(properties), additionalProperties, items, ...anyOf, ...oneOf, ...prefixItems]
  return [...Object.keys(properties), ...inner.flatMap((each) => (typeof each === 'object' ? keysIn(each) : []))]
}

const scalar = fc.oneof(
  fc.string(),
  fc.integer(),
  fc.double(),
  fc.boolean(),
  fc.constant(null),
  fc.constantFrom(
    '${env:CRM_SECRET}',
    '${file:x}',
    'crm',
    '*.a',
    '10s',
    'https-proxy',
    'bearer',
    '/v1/**',
    'spiffe://acme.example/a',
  ),
)

const data = fc.letrec<{ node: unknown }>((tie) => ({
  node: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    scalar,
    fc.array(tie('node'), { maxLength: 4 }),
    fc
      .uniqueArray(fc.constantFrom(...keys), { maxLength: 6 })
      .chain((names) =>
        fc.tuple(...names.map(() => tie('node'))).map((values) => new Map(names.map((name, at) => [name, values[at]]))),
      ),
  ),
})).node

describe('any file', () => {
  it('of any text', async () => {
    await fc.assert(fc.asyncProperty(fc.string({ unit: 'binary', maxLength: 400 }), holds))
  }, 60_000)

  it('of characters that YAML minds', async () => {
    const text = fc.string({ unit: fc.constantFrom(...' \n\t:-[]{},&*!|>\'"%@`#?a1'), maxLength: 200 })
    await fc.assert(fc.asyncProperty(text, holds), { numRuns: 400 })
  }, 60_000)

  it('of any data under the right keys', async () => {
    const written = fc
      .uniqueArray(fc.constantFrom(...Object.keys(configForm().properties ?? {})))
      .chain((names) =>
        fc
          .tuple(...names.map(() => data))
          .map((values) => stringify(new Map(names.map((name, at) => [name, values[at]])))),
      )
    await fc.assert(fc.asyncProperty(written, holds), { numRuns: 400 })
  }, 60_000)
})

describe('a good file', () => {
  it('is good', async () => {
    expect(await outcomeOf(good)).toBe('good')
  })

  it('with pieces cut out, put in, doubled', async () => {
    const at = fc.nat(good.length)
    const change = fc.tuple(
      at,
      fc.nat(12),
      fc.oneof(fc.string({ maxLength: 8 }), fc.constantFrom('\n', ': ', '- ', '[', '}', '"', '*', '&a ', ...keys)),
    )
    const text = fc
      .array(change, { minLength: 1, maxLength: 4 })
      .map((changes) =>
        changes.reduce((now, [start, length, put]) => now.slice(0, start) + put + now.slice(start + length), good),
      )
    await fc.assert(fc.asyncProperty(text, holds), { numRuns: 800 })
  }, 60_000)

  it('with a line moved elsewhere', async () => {
    const lines = good.split('\n')
    const moved = fc.tuple(fc.nat(lines.length - 1), fc.nat(lines.length - 1)).map(([from, to]) => {
      const rest = lines.toSpliced(from, 1)
      return rest.toSpliced(to, 0, lines[from] ?? '').join('\n')
    })
    await fc.assert(fc.asyncProperty(moved, holds), { numRuns: 300 })
  }, 60_000)
})
