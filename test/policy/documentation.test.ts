// Holds docs/policy.md to the code: its keys are those of the schema, its rules load, its cases pass.
import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import { z } from 'zod'
import { askSchema } from '../../policy/ask.ts'
import { caseFileSchema, caseSchema, runCase } from '../../policy/case.ts'
import { compile } from '../../policy/compile.ts'
import { checkRule, proofKinds, ruleSchema } from '../../policy/settings.ts'
import { plainReaders } from './support.ts'

const page = readFileSync(new URL('../../docs/policy.md', import.meta.url), 'utf8')
const blocks: unknown[] = [...page.matchAll(/^```yaml\n([\s\S]*?)^```$/gm)].map(([, text = '']) => parse(text))
const rules = z.array(ruleSchema.extend({ inject: z.unknown().optional() }).superRefine(checkRule))
const policySchema = z.object({ destinations: z.record(z.string(), z.object({ hosts: z.array(z.string()) })), rules })

describe('the page on policy', () => {
  it('lists every key of a rule, of a match, and of a question', () => {
    const keys = [ruleSchema.shape, ruleSchema.shape.allow.unwrap().shape, askSchema.shape].flatMap(Object.keys)
    for (const key of keys) expect(page).toMatch(new RegExp(`^\\|[^|]*\`${key}\`[^|]*\\|`, 'm'))
  })

  it('names every key of a case and of what is expected', () => {
    const { shape } = caseSchema
    for (const key of [shape, shape.expect.shape, shape.repeat.unwrap().shape].flatMap(Object.keys)) {
      expect(page).toMatch(new RegExp(`\`${key}\`|^ +(?:- )?${key}:|${key}:`, 'm'))
    }
  })

  it('names every proof', () => {
    for (const proof of proofKinds) expect(page).toContain(`\`${proof}\``)
  })

  it('shows rules that load, and cases that pass on them', () => {
    const written = blocks.filter(Array.isArray)
    expect(written.length).toBeGreaterThan(0)
    for (const list of written) expect(rules.safeParse(list).error?.issues).toBeUndefined()

    const policy = blocks.map((block) => policySchema.safeParse(block)).find(({ success }) => success)?.data
    const file = blocks.map((block) => caseFileSchema.safeParse(block)).find(({ success }) => success)?.data
    const destinations = Object.entries(policy?.destinations ?? {}).map(([name, { hosts }]) => ({
      name,
      hosts,
      ports: [443],
      protocol: 'https' as const,
    }))
    const compiled = compile({ rules: policy?.rules ?? [], destinations })
    expect(file?.cases.length).toBeGreaterThan(0)
    for (const one of file?.cases ?? []) expect([one.name, ...runCase(compiled, one, plainReaders)]).toEqual([one.name])
  })
})
