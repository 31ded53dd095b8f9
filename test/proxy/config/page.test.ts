// The examples of docs/configuration.md load as they stand there.
import { describe, expect, it } from 'vitest'
import { sectionExamples } from '../../../deploy/docs/configuration-examples.ts'
import { configForm } from '../../../proxy/config/schema.ts'
import { makeAuthority } from '../../support/pki.ts'
import { load } from './folder.ts'

/** What they refer to. */
const files = {
  'internal-ca.pem': makeAuthority().pem,
  'cluster-ca.pem': makeAuthority().pem,
  'secrets/crm-client': 'a secret',
  'secrets/collector': 'Bearer a-secret',
  'secrets/fingerprint-key': 'a secret of at least thirty-two characters',
}

describe('the example of the section', () => {
  it('is there for each that is more than a word', () => {
    const sections = Object.entries(configForm().properties ?? {}).filter(
      ([, { type, oneOf }]) => type === 'object' || type === 'array' || oneOf,
    )
    expect(Object.keys(sectionExamples).sort()).toEqual(sections.map(([name]) => name).sort())
  })

  it.each(Object.entries(sectionExamples))('%s begins with it, and loads', async (name, example) => {
    expect(example.startsWith(`${name}:`)).toBe(true)
    const config = await load(`version: 1\ntrustDomain: acme.example\n${example}`, { files })
    expect(config).toHaveProperty(name)
  })
})
