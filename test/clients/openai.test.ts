// The openai SDK as it comes: it signs in with a stand-in, and streams.
import { once } from 'node:events'
import type { ServerResponse } from 'node:http'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Workplace, workplace } from '../support/postern.ts'
import { recordsIn } from '../support/records.ts'
import { type HttpsUpstream, httpsUpstream } from '../support/upstream.ts'

const key = 'sk-proj-canary0123456789abcdef'
const sdk = fileURLToPath(import.meta.resolve('openai'))

const program = `
import OpenAI from ${JSON.stringify(sdk)}
const client = new OpenAI({ baseURL: process.argv[2], maxRetries: 0 })
console.log(process.env.OPENAI_API_KEY)
const stream = await client.chat.completions.create({ model: 'small', stream: true, messages: [{ role: 'user', content: 'hello' }] })
for await (const event of stream) console.log(event.choices[0].delta.content)
try {
  await client.models.list()
} catch (error) {
  console.log(error.status, error.headers.get('postern-request-id'))
}
`

describe('the openai SDK through postern exec', () => {
  let model: HttpsUpstream
  let place: Workplace
  const authorizations: (string | undefined)[] = []
  let stream: ServerResponse | undefined

  beforeAll(async () => {
    model = await httpsUpstream(['llm.example'], (request, response) => {
      authorizations.push(request.headers.authorization)
      request.resume()
      response.writeHead(200, { 'Content-Type': 'text/event-stream' })
      stream = response
      say('word 0')
    })
    place = await workplace({
      'ca.pem': model.ca,
      'program.mjs': program,
      'postern.yaml': `version: 1
trustDomain: acme.example
exec: { agent: spiffe://acme.example/agent }
records: { to: ./records.jsonl }
resolve: { llm.example: [127.0.0.1] }
destinations:
  model: { hosts: [llm.example], ports: [${model.port}], addresses: [127.0.0.0/8], ca: [ca.pem] }
credentials:
  model-key: { kind: env, variable: OPENAI_API_KEY, for: [model] }
rules:
  - name: agent-asks-the-model
    allow: { agents: [spiffe://acme.example/agent], to: model, methods: [POST], paths: [/v1/chat/completions] }
    use: model-key
    inject: { placeholder: { env: OPENAI_API_KEY, shape: openai } }
`,
    })
  })
  afterAll(async () => {
    await place[Symbol.asyncDispose]()
    await model.close()
  })

  function say(content: string): void {
    stream?.write(`data: ${JSON.stringify({ choices: [{ index: 0, delta: { content } }] })}\n\n`)
  }

  test('streams word for word, holds no key, and is told why not', async () => {
    const url = `https://llm.example:${model.port}/v1`
    const argv = ['exec', '-c', 'postern.yaml', '--', process.execPath, 'program.mjs', url]
    const run = place.start(argv, { OPENAI_API_KEY: key })
    const lines = createInterface({ input: run.child.stdout })[Symbol.asyncIterator]()
    const next = async () => (await lines.next()).value

    const standIn = await next()
    expect(standIn).toMatch(/^sk-/)
    expect(standIn).not.toBe(key)
    // The next word is said only when the one before has arrived.
    for (let word = 0; word < 20; word++) {
      expect(await next()).toBe(`word ${word}`)
      say(`word ${word + 1}`)
    }
    expect(await next()).toBe('word 20')
    stream?.end('data: [DONE]\n\n')
    const refused = await next()
    if (run.child.exitCode === null) await once(run.child, 'exit')
    expect(run.child.exitCode).toBe(0)
    expect(authorizations).toEqual([`Bearer ${key}`])
    const records = await recordsIn(join(place.path, 'records.jsonl'))
    expect(JSON.stringify(records) + run.errors).not.toContain(key)
    expect(records).toMatchObject([
      { credential: { name: 'model-key' }, injected: { placement: 'placeholder' }, response: { ended: 'complete' } },
      { outcome: 'refused', refusal: { reason: 'no_rule' } },
    ])
    expect(refused).toBe(`403 ${records[1]?.id}`)
  })
})
