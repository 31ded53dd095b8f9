import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import { z } from 'zod'
import { credentialSchema } from '../../../proxy/obtain/settings.ts'

const page = readFileSync(new URL('../../../docs/credentials.md', import.meta.url), 'utf8')
const examples = [...page.matchAll(/```yaml\n([\s\S]*?)```/g)].map(([, text = '']) => text)

describe('the page about credentials', () => {
  it.each(examples.map((text) => [text.split('\n')[1]?.trim(), text]))('has an example %s that is read', (_, text) => {
    const document = z.strictObject({ credentials: z.record(z.string(), credentialSchema) })
    expect(document.safeParse(parse(text ?? '')).error?.message).toBeUndefined()
  })

  it('has a section for each kind, and no other', () => {
    const kinds = credentialSchema.def.options.map(({ shape }) => shape.kind.value)
    const sections = [...page.matchAll(/^## ([a-z0-9-]+)$/gm)].map(([, name]) => name)
    expect(sections.sort()).toEqual(kinds.sort())
  })
})
