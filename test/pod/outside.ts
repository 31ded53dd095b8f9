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
/** The resolver that the pod is given. */
const zone: Readonly<Record<string, readonly string[]>> = {
  'api.example': [addresses.api, addresses.api6],
  'mail.example': [addresses.mail],
  'rebound.wild.example': [addresses.metadata],
  'www.wild.example': [addresses.api],
}
const resolver = createSocket('udp4')
resolver.on('message', (message, { address, port }) => {
  const reading = readDnsQuery(message)
  if (reading.state !== 'query') return
  const { name, type } = reading.query
  say({ reached: addresses.gateway, by: 'dns', name })
  const length = type === 1 ? 4 : 16
  const found = (zone[name] ?? []).flatMap((each) => addressBytes(each) ?? []).filter((each) => each.length === length)
  resolver.send(writeDnsAnswer(reading.query, name in zone ? 0 : 3, found, 60), port, address)
})
resolver.bind(53, addresses.gateway)
listening(resolver)

await Promise.all(open)
say({ ready: true })
