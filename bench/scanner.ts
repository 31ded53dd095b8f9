// What looking for a credential in answers costs: GB/s of bodies without one, µs of an answer of 1 KB. Run: node bench/scanner.ts
import { randomBytes } from 'node:crypto'
import type { Answer, AnswerBody, BodySink } from '../proxy/exchange.ts'
import { Needles } from '../proxy/redact/needles.ts'
import { redact, type Sent } from '../proxy/redact/redact.ts'
import { Scanner } from '../proxy/redact/scanner.ts'
import { Secret } from '../proxy/secret.ts'

const chunkBytes = 65_536

const token = `sk-proj-${randomBytes(24).toString('base64url')}/+=`
const segment = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')
const jwt = [
  segment({ alg: 'RS256', typ: 'JWT' }),
  segment({ iss: 'https://login.acme.example', sub: 'spiffe://acme.example/ns/agents/sa/researcher', scope: 'read' }),
  randomBytes(256).toString('base64url'),
].join('.')

const repeat = (text: string) => Buffer.alloc(chunkBytes, text, 'latin1')
const characters = (text: string, write: (code: number) => string) =>
  [...text].map((character) => write(character.charCodeAt(0))).join('')

const bodies: Readonly<Record<string, () => Buffer>> = {
  prose: () => repeat('The quick brown fox jumps over the lazy dog; nobody has ever asked why it should. '),
  JSON: () => repeat('{"id":12345,"name":"A Person","mail":"a@b.example","tags":[1,2,3],"note":"one\\ntwo"},'),
  events: () => repeat('data: {"id":"chunk-1","choices":[{"index":0,"delta":{"content":" hello"}}]}\n\n'),
  HTML: () => repeat('<a href="/x?a=1&amp;b=2">It&#39;s here</a><p class="x">text text text text</p>\n'),
  base64: () => Buffer.from(randomBytes(chunkBytes).toString('base64').slice(0, chunkBytes)),
  hexadecimal: () => Buffer.from(randomBytes(chunkBytes / 2).toString('hex')),
  'random bytes': () => randomBytes(chunkBytes),
  'JSON in JSON': () => repeat('{"arguments":"{\\"a\\":\\"b\\",\\"list\\":[1,2],\\"path\\":\\"\\/usr\\/bin\\"}"},'),
  'a form': () => repeat('a=hello%20world&b=%7B%22x%22%3A1%7D&next=https%3A%2F%2Fx.example%2Fcb%3Fq%3D1&'),
  'escapes only': () =>
    repeat(characters(randomBytes(3_000).toString('base64'), (code) => `\\u00${code.toString(16)}`)),
}

/** The best of several rounds: what else the machine does only ever adds. */
function best(rounds: number, run: () => void): number {
  let least = Number.POSITIVE_INFINITY
  for (let round = 0; round < rounds; round++) {
    const start = performance.now()
    run()
    least = Math.min(least, performance.now() - start)
  }
  return least
}

function needlesOf(value: string): Needles {
  const needles = Needles.of([new Secret('bench', value)])
  if (needles === undefined) throw new Error('the secret is too short')
  return needles
}

function throughput(needles: Needles, body: Buffer): number {
  const chunks = 32
  const scanner = new Scanner(needles)
  const milliseconds = best(40, () => {
    for (let chunk = 0; chunk < chunks; chunk++) scanner.push(body)
  })
  if (scanner.count > 0) throw new Error('found what is not there')
  return (chunkBytes * chunks) / milliseconds / 1e6
}

/** µs for the whole step on an answer with ten header fields and one chunk of 1 KB. */
function stepMicroseconds(value: string): number {
  const headers = [
    'Date',
    'Tue, 24 Nov 2026 04:00:00 GMT',
    'Content-Type',
    'application/json; charset=utf-8',
    'Content-Length',
    '1024',
    'Cache-Control',
    'no-store',
    'ETag',
    '"abcdef0123456789"',
    'X-Request-Id',
    '01890a5d-ac96-774b-bcce-b302099a8057',
    'Server',
    'example',
    'Vary',
    'Accept-Encoding',
    'X-RateLimit-Remaining',
    '4999',
    'Strict-Transport-Security',
    'max-age=31536000; includeSubDomains',
  ]
  const chunk = Buffer.alloc(1_024, '{"id":12345,"name":"A Person","mail":"a@b.example","note":"one\\ntwo"}\n')
  const flow = { resume: () => {}, cancel: () => {} }
  const body: AnswerBody = {
    deliver(sink) {
      sink.data(chunk)
      sink.end([])
      return flow
    },
  }
  const answer: Answer = {
    status: 200,
    statusText: 'OK',
    headers,
    body,
    tunnel: undefined,
    address: undefined,
    findings: [],
  }
  const exchange: Sent = {
    method: 'GET',
    upgrade: undefined,
    emitted: [new Secret('bench', value)],
    destination: { echo: 'redact' },
  }
  const sink: BodySink = { data: () => true, end: () => {}, fail: () => {} }
  const answers = 5_000
  const milliseconds = best(20, () => {
    for (let count = 0; count < answers; count++) redact(answer, exchange).body.deliver(sink)
  })
  return (milliseconds * 1_000) / answers
}

const secrets = { [`a token of ${token.length} bytes`]: token, [`a JWT of ${jwt.length} bytes`]: jwt }
const table = Object.values(secrets).map(needlesOf)

console.log(
  `GB/s${' '.repeat(12)}${Object.keys(secrets)
    .map((name) => name.padStart(24))
    .join('')}`,
)
for (const [name, make] of Object.entries(bodies)) {
  const body = make()
  console.log(name.padEnd(16) + table.map((needles) => throughput(needles, body).toFixed(2).padStart(24)).join(''))
}
const row = (name: string, figures: readonly number[]) =>
  console.log(name.padEnd(16) + figures.map((figure) => `${figure.toFixed(1)} µs`.padStart(24)).join(''))
row('answer of 1 KB', Object.values(secrets).map(stepMicroseconds))
row(
  'a new secret',
  Object.values(secrets).map((value) => best(300, () => needlesOf(value)) * 1_000),
)
