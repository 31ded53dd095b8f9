// postern audit verify, as an auditor calls it.
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { EmbeddedAuthority } from '../../certs/embedded-authority.ts'
import { certificatePem } from '../../certs/pem.ts'
import { parseSpiffeId, parseTrustDomain } from '../../certs/spiffe-id.ts'
import { hashOf } from '../../proxy/record/audit/seal.ts'
import { svidSigner } from '../../proxy/record/audit/signature.ts'
import { signedLines } from '../proxy/record/audit/trails.ts'
import { agentsListener } from '../support/gate.ts'
import { type Workplace, workplace } from '../support/postern.ts'
import { WireClient } from '../support/wire-client.ts'

const trustDomain = parseTrustDomain('acme.example')
const id = parseSpiffeId('spiffe://acme.example/postern')
const authority = new EmbeddedAuthority({ trustDomain, now: Date.now })
const svid = authority.issue(id)
const lines = signedLines(5, { signer: svidSigner({ svid: () => svid }), now: Date.now })
const text = (all: readonly string[]) => all.map((line) => `${line}\n`).join('')
const pem = (from: EmbeddedAuthority) => from.bundle().x509Authorities.map(certificatePem).join('')

let place: Workplace

beforeAll(async () => {
  place = await workplace({
    'records.jsonl': text(lines),
    'altered.jsonl': text(lines.with(2, (lines[2] ?? '').replace('"lost":3', '"lost":4'))),
    'torn.jsonl': `${text(lines)}{"v":1,"ti`,
    'bundle.pem': pem(authority),
    'other.pem': pem(new EmbeddedAuthority({ trustDomain, now: Date.now })),
    'postern.yaml': `version: 1
trustDomain: acme.example
identity: { source: embedded }
admin: { socket: ./admin/postern.sock }
${agentsListener}records: { to: ./own.jsonl }
`,
  })
})

afterAll(() => place[Symbol.asyncDispose]())

async function verify(...args: string[]) {
  const run = place.start(['audit', 'verify', ...args])
  run.child.stdin.end()
  return { code: await run.ended, out: run.out, errors: run.errors }
}

describe('findings end with 1 and name what it is', () => {
  test('an altered record', async () => {
    const { code, out } = await verify('altered.jsonl')
    expect(code).toBe(1)
    expect(out).toContain('6 records in 1 file: 1 finding.')
    expect(out).toMatch(/ALTERED altered\.jsonl line 3: record 3 is not the one .* \(expected \S{43}, found \S{43}\)\./)
  })

  test('a signer that the bundle does not vouch for, or another than the one expected', async () => {
    expect(await verify('records.jsonl', '--bundle', 'other.pem')).toMatchObject({
      code: 1,
      out: expect.stringContaining(
        'BAD_CHECKPOINT records.jsonl line 6: checkpoint 6 is not valid: svid_bad_signature',
      ),
    })
    expect(await verify('records.jsonl', '--signer', 'spiffe://acme.example/else')).toMatchObject({
      code: 1,
      out: expect.stringContaining(`signed by ${id}`),
    })
  })

  test('an end that was cut off', async () => {
    expect(await verify('records.jsonl', '--expect-seq', '9')).toMatchObject({
      code: 1,
      out: expect.stringContaining('records 7 to 9 are missing at the end'),
    })
  })
})

test('what is asked wrongly, or cannot be read, ends with codes of its own', async () => {
  expect((await verify('records.jsonl', '--expect-head', 'short')).code).toBe(64)
  expect((await verify('records.jsonl', '--expect-seq', '0')).code).toBe(64)
  expect(await verify('nowhere.jsonl')).toMatchObject({ code: 66, errors: expect.stringContaining('ENOENT') })
  expect((await verify('records.jsonl', '--bundle', 'nowhere.pem')).code).toBe(66)
})

test('records as written end with 0, for people and for programs', async () => {
  const good = await verify(
    'records.jsonl',
    '--bundle',
    'bundle.pem',
    '--signer',
    id,
    '--from-start',
    '--expect-head',
    hashOf(lines[3] ?? ''),
  )
  expect(good).toMatchObject({ code: 0, errors: '' })
  expect(good.out).toContain('6 records in 1 file: as written.')
  expect(good.out).toContain(`1 checkpoint signed by ${id}, as the bundle vouches`)
  expect(good.out).toMatch(/Records 1 to 6: signed up to 6 at .*; nothing stands after it\./)
  const { code, out } = await verify(
    'records.jsonl',
    'records.jsonl',
    'torn.jsonl'.replace('torn', 'records'),
    '--json',
  )
  expect(code).toBe(0)
  expect(JSON.parse(out)).toMatchObject({ ok: true, records: 6, findings: [], trails: [{ first: 1, last: 6 }] })
})

test('a torn tail is named and tolerated', async () => {
  expect(await verify('torn.jsonl')).toMatchObject({
    code: 0,
    out: expect.stringContaining('torn.jsonl line 7: the last line was cut off after 10 bytes'),
  })
})

test('a running proxy says how far its records have come, keeps others out of its file, and signs at the end', async () => {
  const proxy = place.start(['run'])
  const port = await proxy.port()
  const second = place.start(['run'])
  expect(await second.ended).toBe(69)
  expect(second.errors).toContain('another process writes its records into')

  const status = async () => {
    const asked = place.start(['status', '--json'])
    await asked.ended
    return JSON.parse(asked.out).records
  }
  expect(await status()).toMatchObject({ healthy: true, seq: 0 })
  {
    await using client = await WireClient.open({ host: '127.0.0.1', port })
    await client.request(['GET http://api.example/ HTTP/1.1', 'Host: api.example'])
  }
  const { head } = await vi.waitFor(async () => {
    const records = await status()
    expect(records.seq).toBe(1)
    return records
  }, 10_000)
  const readable = place.start(['status'])
  await readable.ended
  expect(readable.out).toContain(`record 1 is the last: ${head}`)

  proxy.child.kill('SIGTERM')
  expect(await proxy.ended).toBe(0)
  // The configuration in the folder names the file.
  expect(await verify('--expect-head', head, '--from-start', '--signer', id)).toMatchObject({
    code: 0,
    out: expect.stringContaining('signed up to 2'),
  })
}, 30_000)
