// Federated trust domains that do not fit the rest of the configuration, or are wrong by themselves.

import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { loadConfig } from '../../../proxy/config/load.ts'
import { summarize, summaryLines } from '../../../proxy/config/summary.ts'

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'postern-config-'))
})
afterEach(() => rm(folder, { recursive: true }))

async function load(text: string) {
  const file = join(folder, 'postern.yaml')
  await writeFile(file, `version: 1\ntrustDomain: acme.example\n${text}`)
  return await loadConfig(file, {})
}

const embedded = 'identity: { source: embedded }\n'
const spiffe = 'source: https_spiffe, url: "https://b.example/", endpointId: spiffe://b.example/e'

describe('a federated trust domain is refused', () => {
  test.each<[string, string, RegExp]>([
    ['without an identity', 'federation: { b.example: { source: file, path: b.pem } }', /`identity`, which is missing/],
    [
      'that is the own one',
      `${embedded}federation: { acme.example: { source: file, path: b.pem } }`,
      /the own trust domain/,
    ],
    [
      'that is among the files of the identity',
      'identity: { source: files, bundles: { b.example: b.pem } }\nfederation: { b.example: { source: file, path: b.pem } }',
      /`identity\.bundles` has a bundle of this trust domain/,
    ],
    [
      'of a Workload API that there is not',
      `${embedded}federation: { b.example: { source: workload-api } }`,
      /does not come from a Workload API/,
    ],
    [
      'whose endpoint nothing verifies',
      `${embedded}federation: { b.example: { ${spiffe} } }`,
      /there is no bundle of b\.example to verify the endpoint with/,
    ],
    [
      'whose endpoint is of a domain that is not trusted',
      `${embedded}federation: { b.example: { ${spiffe.replace('spiffe://b.', 'spiffe://x.')} } }`,
      /there is no bundle of x\.example/,
    ],
    ['with a name that is none', `${embedded}federation: { B.example: { source: file, path: b.pem } }`, /B\.example/],
    [
      'with the ID in place of the name',
      `${embedded}federation: { "spiffe://b.example": { source: file, path: b.pem } }`,
      /spiffe:\/\/b\.example/,
    ],
    [
      'over cleartext',
      `${embedded}federation: { b.example: { source: https_web, url: "http://b.example/" } }`,
      /an HTTPS URL/,
    ],
    [
      'with user information',
      `${embedded}federation: { b.example: { source: https_web, url: "https://a:b@b.example/" } }`,
      /an HTTPS URL/,
    ],
    [
      'asked too often',
      `${embedded}federation: { b.example: { source: https_web, url: "https://b.example/", refresh: 100ms } }`,
      /a second at least/,
    ],
    ['from nowhere', `${embedded}federation: { b.example: {} }`, /source/],
    [
      'with the ID of a domain for its endpoint',
      `${embedded}federation: { b.example: { ${spiffe.replace('/e', '')}, bundle: b.pem } }`,
      /endpointId/,
    ],
  ])('%s', async (_, text, problem) => {
    await expect(load(text)).rejects.toThrow(problem)
  })
})

test('an endpoint may be of the own domain, or of another federated one, without a bundle of its own', async () => {
  const config = await load(`${embedded}federation:
  b.example: { ${spiffe.replace('spiffe://b.', 'spiffe://acme.')} }
  c.example: { ${spiffe}, refresh: 10s }
  d.example: { ${spiffe.replace('spiffe://b.', 'spiffe://d.')}, bundle: d.pem }
`)
  expect(config.federation['c.example']).toMatchObject({ refresh: 10_000, addresses: [] })
  expect(config.federation['d.example']).toMatchObject({ refresh: 300_000, bundle: join(folder, 'd.pem') })
  expect(summaryLines(summarize(config))).toContain(
    '  c.example: its bundle from https://b.example/, if that is spiffe://b.example/e',
  )
})
