// What people are told of federated trust domains: by status of a running proxy, by identity, by check.
import { expect, test } from 'vitest'
import { federatedLine } from '../../cli/federated.ts'
import { makeAuthority } from '../support/pki.ts'
import { workplace } from '../support/postern.ts'

const configuration = `version: 1
trustDomain: acme.example
identity: { source: embedded }
federation:
  b.example: { source: file, path: b.pem }
  c.example: { source: https_web, url: "https://127.0.0.1:1/bundle", addresses: [127.0.0.0/8] }
  d.example: { source: file, path: d.json }
admin: { socket: ./admin/postern.sock }
records: { to: ./records.jsonl }
`

test('a running proxy says how each is; identity and check say it without one', { timeout: 60_000 }, async () => {
  await using place = await workplace({
    'postern.yaml': configuration,
    'b.pem': makeAuthority().pem,
    'd.json': '{"keys":[]}',
  })
  const run = place.start(['run'])
  await run.told('ready')
  const [status, json, identity, check] = ['status', 'status --json', 'identity', 'check'].map((words) =>
    place.start(words.split(' ')),
  )
  for (const each of [status, json, identity, check]) expect(await each?.ended).toBe(0)
  const held = /^federated b\.example: trusted, read \d{4}-\S+$/m
  const refused =
    /^federated c\.example: no bundle yet, its callers are refused, next \d{4}-\S+, last problem: .*ECONNREFUSED/m
  const empty = /^federated d\.example: its bundle is empty, its callers are refused, read/m
  for (const each of [status, identity]) for (const line of [held, refused, empty]) expect(each?.out).toMatch(line)
  expect(JSON.parse(json?.out ?? '')).toMatchObject({
    federation: [
      { trust_domain: 'b.example', state: 'held' },
      { trust_domain: 'c.example', state: 'waiting', problem: expect.stringContaining('ECONNREFUSED') },
      { trust_domain: 'd.example', state: 'empty' },
    ],
  })
  expect(identity?.out).toContain('  b.example: 1 roots')
  expect(check?.out).toContain('c.example: its bundle from https://127.0.0.1:1/bundle')
  expect(run.log).toContainEqual(expect.objectContaining({ message: 'a federated bundle could not be refreshed' }))
})

test('a line says the sequence, and nothing that a terminal would obey', () => {
  const line = federatedLine({ trust_domain: 'b.example', state: 'held', sequence: '7', problem: 'odd \u001b[2J' })
  expect(line).toMatch(/^federated b\.example: trusted, sequence 7, last problem: odd /)
  expect(line).not.toContain('\u001b')
})
