// The commands of docs/delegation.md do what the page says: run below `postern exec` with its configuration, against a real API.
import { chmodSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { kernelFacts } from '../../proxy/identify/kernel/facts.ts'
import { type Workplace, workplace } from '../support/postern.ts'
import { httpUpstream } from '../support/upstream.ts'

const page = readFileSync(new URL('../../docs/delegation.md', import.meta.url), 'utf8')
const program = fileURLToPath(new URL('../../cli/postern.js', import.meta.url))
/** Root may look everywhere, so as root everything here runs as somebody else. */
const user = process.getuid?.() === 0 ? { uid: 65534, gid: 65534 } : undefined
const { limit } = kernelFacts()

const [configuration = ''] = [...page.matchAll(/^```yaml\n(version: 1\n[\s\S]*?)^```$/gm)].map(([, text]) => text)
const commands = [...page.matchAll(/^```sh\n([\s\S]*?)^```$/gm)]
  .flatMap(([, block = '']) => block.split('\n'))
  .filter((line) => line.includes('https://api.crm.example') || line.includes('http://postern.internal'))

let upstream: Awaited<ReturnType<typeof httpUpstream>>
let place: Workplace

beforeAll(async () => {
  upstream = await httpUpstream((request, response) => response.end(`contact ${request.url}\n`))
})
afterAll(() => upstream.close())

beforeEach(async () => {
  const here = `crm: { hosts: [api.crm.example], protocol: http, ports: [${upstream.port}], addresses: [127.0.0.0/8] }`
  const config = configuration.replace('crm: { hosts: [api.crm.example] }', here)
  place = await workplace(
    { 'postern.yaml': `${config}resolve: { api.crm.example: [127.0.0.1] }\nrecords: { to: ./records.jsonl }\n` },
    user,
  )
  writeFileSync(join(place.path, 'postern'), `#!/bin/sh\nexec "${process.execPath}" "${program}" "$@"\n`)
  chmodSync(join(place.path, 'postern'), 0o755)
})
afterEach(() => place[Symbol.asyncDispose]())

/** Runs a line of the page, with the API on this machine. */
async function typed(line: string): Promise<{ code: number | string; out: string; errors: string }> {
  const here = line.replaceAll('https://api.crm.example', `http://api.crm.example:${upstream.port}`)
  const run = place.start(['exec', '--quiet', '--', 'bash', '-c', `PATH=".:$PATH"; ${here}`])
  run.child.stdin.end()
  return { code: await run.ended, out: run.out, errors: run.errors }
}

describe.skipIf(limit !== undefined)(`docs/delegation.md${limit === undefined ? '' : ` (skipped: ${limit})`}`, () => {
  it('has commands that reach the API, and the door', () => {
    expect(commands.length).toBe(6)
  })

  it.each(commands.filter((line) => line.includes('api.crm')))('%s', async (line) => {
    const path = /api\.crm\.example(\S*)$/.exec(line)?.[1]
    expect(await typed(line)).toEqual({ code: 0, out: `contact ${path}\n`, errors: '' })
    const to = [...line.matchAll(/--to ([^ )"]+)/g)].at(-1)?.[1]
    const records = readFileSync(join(place.path, 'records.jsonl'), 'utf8')
    expect(records).toContain(`"caller":{"spiffe_id":"${to}","attested":"spiffe://acme.example/planner"`)
  })

  it('asks the door who it is, and for a delegation', async () => {
    const [who = '', asked = ''] = commands.filter((line) => line.includes('postern.internal'))
    expect(JSON.parse((await typed(who)).out)).toMatchObject({ caller: { id: 'spiffe://acme.example/planner' } })
    expect(JSON.parse((await typed(asked)).out)).toMatchObject({
      holder: 'spiffe://acme.example/planner/researcher',
      scopes: ['crm.contacts.read'],
      depth: 1,
    })
  })

  it('draws the tree that the page shows', async () => {
    const [line = ''] = commands.filter((each) => each.includes('contacts/7'))
    await typed(line)
    const txn = /"txn":"([^"]+)"/.exec(readFileSync(join(place.path, 'records.jsonl'), 'utf8'))?.[1] ?? ''
    const run = place.start(['logs', '--chain', txn])
    run.child.stdin.end()
    await run.ended
    const [shown = ''] = [...page.matchAll(/^```text\n(Transaction [\s\S]*?)^```$/gm)].map(([, text]) => text)
    expect(steady(run.out)).toBe(steady(shown))
  })
})

/** Without what differs from run to run. */
const steady = (text: string) =>
  text
    .replaceAll(/Transaction \S+,/g, 'Transaction,')
    .replaceAll(/\d\d:\d\d:\d\d/g, 'hh:mm:ss')
    .replaceAll(/\d{4}-\d\d-\d\d/g, 'yyyy-mm-dd')
    .replaceAll(`:${upstream.port}`, '')
