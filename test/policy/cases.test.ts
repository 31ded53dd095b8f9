// Runs every golden case in policy/cases. A file there is a policy with its cases; adding one needs no code.
import { readdirSync, readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import { z } from 'zod'
import { caseSchema, runCase } from '../../policy/case.ts'
import { compile } from '../../policy/compile.ts'
import { checkRule, checkRuleNames, ruleSchema } from '../../policy/settings.ts'
import { plainReaders } from './support.ts'

const destinationSchema = z.strictObject({
  hosts: z.array(z.string()),
  protocol: z.enum(['https', 'http', 'opaque']).default('https'),
  ports: z.array(z.int()).default([443]),
})

const goldenSchema = z.strictObject({
  destinations: z.record(z.string(), destinationSchema),
  rules: z.array(ruleSchema.superRefine(checkRule)).superRefine(checkRuleNames),
  cases: z.array(caseSchema),
})

const folder = new URL('../../policy/cases/', import.meta.url)
const files = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.yaml'))

describe('golden cases', () => {
  it('are found', () => {
    expect(files.length).toBeGreaterThan(0)
  })

  describe.each(files)('%s', (file) => {
    const golden = goldenSchema.parse(parse(readFileSync(new URL(file, folder), 'utf8')))
    const destinations = Object.entries(golden.destinations).map(([name, rest]) => ({ name, ...rest }))
    const policy = compile({ rules: golden.rules, destinations })

    it.each(golden.cases)('$name', (golden) => {
      expect(runCase(policy, golden, plainReaders)).toEqual([])
    })
  })
})
