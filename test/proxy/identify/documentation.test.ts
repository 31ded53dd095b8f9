// docs/identity.md: every proof has its section, every reason in it exists, and every configuration in it loads.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, it } from 'vitest'
import { proofKinds } from '../../../policy/settings.ts'
import { loadConfig } from '../../../proxy/config/load.ts'
import { reasons } from '../../../proxy/refusal.ts'

const page = readFileSync(new URL('../../../docs/identity.md', import.meta.url), 'utf8')
const folder = mkdtempSync(join(tmpdir(), 'postern-identity-page-'))
afterAll(() => rmSync(folder, { recursive: true }))

it.each(proofKinds.filter((proof) => proof !== 'delegation'))(
  '%s has a section and a row in the order of strength',
  (proof) => {
    expect(page).toContain(`\n## ${proof}\n`)
    expect(page).toMatch(new RegExp(`^\\| \\d \\| \`${proof}\` \\|`, 'm'))
  },
)

it('names reasons that exist', () => {
  const named = [...page.matchAll(/`((?:jwt_)?svid_\w+|kubernetes_(?:token|keys)_\w+)`/g)].map(([, reason]) => reason)
  expect(named.length).toBeGreaterThan(3)
  expect(Object.keys(reasons)).toEqual(expect.arrayContaining(named))
})

const blocks = [...page.matchAll(/^```yaml\n([\s\S]*?)^```$/gm)].map(([, text = '']) => text)

it.each(blocks.filter((text) => text.includes('listen:')))('has a configuration that loads: %s', async (text) => {
  const file = join(folder, 'postern.yaml')
  const identity = text.includes('identity:') ? '' : 'identity: { source: embedded }\n'
  writeFileSync(file, `version: 1\ntrustDomain: acme.example\n${identity}${text}`)
  expect((await loadConfig(file, {})).listen.length).toBeGreaterThan(0)
})
