// The outside world of the simulated pod: servers on addresses of their own that say what reached them, a line of JSON each.
import { createSocket } from 'node:dgram'
import { createServer } from 'node:http'
import { createServer as createHttpsServer } from 'node:https'
import { createServer as createTcpServer } from 'node:net'
import { readDnsQuery, writeDnsAnswer } from '../../proxy/dns/message.ts'
import { addressBytes } from '../../proxy/identify/kernel/tcp-ends.ts'
import { addresses } from './addresses.ts'

const [, , certificate = ''] = process.argv
const { cert, key } = JSON.parse(Buffer.from(certificate, 'base64').toString())

const say = (line: object) => process.stdout.write(`${JSON.stringify(line)}\n`)
const open: Promise<unknown>[] = []
const listening = (server: { once(event: 'listening', told: () => void): unknown }) =>
  open.push(new Promise<void>((resolve) => server.once('listening', resolve)))

for (const host of [
  addresses.api,
  addresses.api6,
  addresses.mail,
  addresses.evil,
  addresses.evil6,
  addresses.metadata,
  addresses.metadata6,
]) {
  const answer: Parameters<typeof createServer>[1] = (request, response) => {
    const { authorization } = request.headers
    say({ reached: host, by: 'http', url: request.url, host: request.headers.host, authorization })
    if (request.url?.endsWith('/once') === true) response.setHeader('Connection', 'close')
    response.end('{"hello":"from outside"}')
  }
  listening(createServer(answer).listen(80, host))
  const secure = createHttpsServer({ cert, key }, answer).listen(443, host)
  secure.on('tlsClientError', () => {})
  // Of what is no TLS too.
  secure.on('connection', () => say({ reached: host, by: 'tcp', port: 443 }))
  listening(secure)
  for (const port of [22, 853, 2_222]) {
    listening(
      createTcpServer((socket) => {
        say({ reached: host, by: 'tcp', port })
        socket.on('error', () => {}).end('220 outside\r\n')
      }).listen(port, host),
    )
  }
  for (const port of [53, 443, 9_999]) {
    const socket = createSocket(host.includes(':') ? 'udp6' : 'udp4')
    socket.on('message', (message, { address }) =>
      say({ reached: host, by: 'udp', port, from: address, bytes: message.length }),
    )
    socket.bind(port, host)
    listening(socket)
  }
  listening(
    createTcpServer((socket) => {
      say({ reached: host, by: 'tcp', port: 53 })
      socket.destroy()
    }).listen(53, host),
  )
}
/** The resolver that the pod is given. Of several answers each is given once, the last from then on; nothing may be kept. */
const zone: Readonly<Record<string, readonly (readonly string[])[]>> = {
  'api.example': [[addresses.api, addresses.api6]],
  'mail.example': [[addresses.mail]],
  'rebound.wild.example': [[addresses.metadata]],
  'www.wild.example': [[addresses.api]],
  'flips.wild.example': [[addresses.api], [addresses.metadata]],
  'returns.wild.example': [[addresses.metadata], [addresses.api]],
  'mixed.wild.example': [[addresses.api, addresses.metadata]],
  'own.wild.example': [[addresses.api, '127.0.0.1']],
  'pod.wild.example': [[addresses.pod, addresses.api]],
  'mapped.wild.example': [['::ffff:169.254.169.254']],
  'translated.wild.example': [['64:ff9b::a9fe:a9fe']],
}
/** Names that are another name. */
const aliases: Readonly<Record<string, string>> = {
  'alias.wild.example': 'www.wild.example',
  'false-friend.wild.example': 'rebound.wild.example',
}
/** Questions for an address so far, by name and type. */
const asked = new Map<string, number>()

function answerTo(name: string, type: number): readonly string[] {
  const key = `${name} ${type}`
  const before = asked.get(key) ?? 0
  asked.set(key, before + 1)
  const answers = zone[name] ?? []
  return answers[Math.min(before, answers.length - 1)] ?? []
}
/** Puts a CNAME before the answers (RFC 1035 §3.3.1), and lets them speak of what it names. */
function behindAlias(message: Buffer, alias: string): Buffer {
  const labels = alias.split('.').map((label) => Buffer.concat([Buffer.of(label.length), Buffer.from(label)]))
  const target = Buffer.concat([...labels, Buffer.of(0)])
  const questionEnd = message.indexOf(0, 12) + 5
  // The name of the question by a pointer, CNAME, IN, no time to live.
  const record = Buffer.from([0xc0, 12, 0, 5, 0, 1, 0, 0, 0, 0, 0, target.length])
  const answers = message.subarray(questionEnd)
  const count = message.readUInt16BE(6)
  const renamed: Buffer[] = []
  const each = count === 0 ? 0 : answers.length / count
  for (let at = 0; at < count; at += 1) renamed.push(target, answers.subarray(at * each + 2, (at + 1) * each))
  const head = Buffer.from(message.subarray(0, questionEnd))
  head.writeUInt16BE(count + 1, 6)
  return Buffer.concat([head, record, target, ...renamed])
}

const resolver = createSocket('udp4')
resolver.on('message', (message, { address, port }) => {
  const reading = readDnsQuery(message)
  if (reading.state !== 'query') return
  const { name, type } = reading.query
  say({ reached: addresses.gateway, by: 'dns', name })
  const alias = aliases[name]
  const length = type === 1 ? 4 : 16
  const found = answerTo(alias ?? name, type)
    .flatMap((each) => addressBytes(each) ?? [])
    .filter((each) => each.length === length)
  const code = name in zone || alias !== undefined ? 0 : 3
  const plain = Buffer.from(writeDnsAnswer(reading.query, code, found, 0))
  resolver.send(alias === undefined ? plain : behindAlias(plain, alias), port, address)
})
resolver.bind(53, addresses.gateway)
listening(resolver)

await Promise.all(open)
say({ ready: true })
