// The attacks, each in a process of its own: node test/abuse/attacker.ts NAME, with orders over the channel; ends when the channel does.
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { createServer as createHttpServer } from 'node:http'
import { connect, createServer, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'

export interface AttackOrders {
  readonly agents: number
  readonly mesh: number
  readonly dns: number
  /** A free port that the proxy lets through; the upstream there is the attacker's own. */
  readonly upstream: number
}

/** What came of it so far, by name; each attack has its own. */
const count: Record<string, number> = {}
const counted = (what: string) => {
  count[what] = (count[what] ?? 0) + 1
}

const sources = Array.from({ length: 8 }, (_, at) => `127.0.1.${at + 1}`)
let number = 0

/** Connects again whenever it was closed; from one address after the other. */
function hold(port: number, most: number, use: (socket: Socket) => void, { pause = 200, batch = 100 } = {}): void {
  let open = 0
  setInterval(() => {
    for (let left = batch; open < most && left > 0; left--) {
      open += 1
      number += 1
      const socket = connect({ host: '127.0.0.1', port, localAddress: sources[number % sources.length] })
      socket.once('connect', () => {
        counted('connections')
        use(socket)
      })
      socket.on('error', () => {})
      socket.once('close', () => {
        open -= 1
        counted('closed')
      })
    }
    count['open now'] = open
  }, pause)
}

/** A ClientHello as this runtime sends it, so that an attack costs no cryptography. */
async function clientHello(servername: string): Promise<Buffer> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  const port = address !== null && typeof address === 'object' ? address.port : 0
  const accepted = once(server, 'connection')
  const client = connectTls({ host: '127.0.0.1', port, servername })
  client.on('error', () => {})
  const [socket] = await accepted
  const [hello] = await once(socket, 'data')
  client.destroy()
  server.close()
  return hello
}

/** A closed loop of one request after another on each of so many connections. */
function flood({ agents }: AttackOrders, connections: number, text: string): void {
  hold(agents, connections, (socket) => {
    let seen = ''
    socket.on('data', (chunk) => {
      seen += chunk.toString('latin1')
      for (let end = seen.indexOf('\r\n\r\n'); end >= 0; end = seen.indexOf('\r\n\r\n')) {
        const head = seen.slice(0, end)
        const length = Number(/content-length: (\d+)/i.exec(head)?.[1] ?? 0)
        if (/transfer-encoding: chunked/i.test(head)) {
          if (!seen.includes('0\r\n\r\n', end + 4)) return
          seen = ''
        } else {
          if (seen.length < end + 4 + length) return
          seen = seen.slice(end + 4 + length)
        }
        counted(head.slice(9, 12))
        socket.write(text)
      }
    })
    socket.write(text)
  })
}

const get = ({ upstream }: AttackOrders, path: string) =>
  `GET http://localhost:${upstream}${path} HTTP/1.1\r\nHost: localhost:${upstream}\r\n\r\n`

const attacks: Record<string, (orders: AttackOrders) => void | Promise<void>> = {
  /** 5,000 heads that come a byte at a time, and as many as that never end. */
  'slow-loris': (orders) => {
    const text = get(orders, '/x')
    hold(
      orders.agents,
      5_000,
      (socket) => {
        let at = 0
        const timer = setInterval(() => socket.write(text[at++ % (text.length - 4)] ?? 'x'), 1_000)
        socket.once('close', () => clearInterval(timer))
      },
      { pause: 20, batch: 250 },
    )
  },
  /** 10,000 ClientHellos as fast as it goes, each of which makes the proxy sign. */
  async handshakes(orders) {
    const hello = await clientHello('mesh.example')
    hold(
      orders.mesh,
      1_000,
      (socket) => {
        socket.write(hello)
        socket.once('data', () => {
          counted('signatures')
          socket.destroy()
        })
      },
      { pause: 5, batch: 250 },
    )
  },
  /** A million bytes of fields, again and again. */
  headers(orders) {
    const fields = `X-Fill: ${'x'.repeat(992)}\r\n`.repeat(1_000)
    const text = get(orders, '/x').slice(0, -2) + fields
    hold(orders.agents, 32, (socket) => {
      socket.on('data', (chunk) => counted(chunk.toString('latin1', 9, 12)))
      socket.write(text)
    })
  },
  /** As many requests at once as go, as fast as they are answered. */
  rate: (orders) => flood(orders, 256, get(orders, '/x')),
  /** More requests under way than a caller may have, and more on top. */
  concurrency(orders) {
    const never = get(orders, '/never')
    hold(
      orders.agents,
      1_100,
      (socket) => {
        socket.on('data', (chunk) => counted(chunk.toString('latin1', 9, 12)))
        socket.write(never)
      },
      { pause: 20, batch: 100 },
    )
    flood(orders, 64, get(orders, '/x'))
  },
  /** A thousand bodies of which a byte comes at a time. */
  drip(orders) {
    const head = `POST http://localhost:${orders.upstream}/x HTTP/1.1\r\nHost: localhost:${orders.upstream}\r\nContent-Length: 100000\r\n\r\n`
    const all = new Set<Socket>()
    hold(orders.agents, 1_000, (socket) => {
      all.add(socket)
      socket.once('close', () => all.delete(socket))
      socket.resume().write(head)
    })
    setInterval(() => {
      for (const socket of all) socket.write('x')
      count.bytes = (count.bytes ?? 0) + all.size
    }, 100)
  },
  /** A tunnel to a host that was never seen before, as often as it goes. */
  async hosts({ agents }) {
    const hello = (await clientHello('h0000000.wide.example')).toString('latin1')
    hold(
      agents,
      200,
      (socket) => {
        const host = `h${String(number).padStart(7, '0')}.wide.example`
        socket.write(`CONNECT ${host}:443 HTTP/1.1\r\nHost: ${host}:443\r\n\r\n`)
        socket.once('data', (chunk) => {
          const status = chunk.toString('latin1', 9, 12)
          counted(status)
          if (status !== '200') return void socket.destroy()
          socket.write(Buffer.from(hello.replaceAll('h0000000.wide.example', host), 'latin1'))
          socket.once('data', () => socket.destroy())
        })
      },
      { pause: 5, batch: 100 },
    )
  },
  /** Names that are known, unknown, and new, by datagram. */
  dns({ dns }) {
    const socket = createSocket('udp4')
    socket.on('error', () => {}).on('message', () => counted('answers'))
    let id = 0
    const storm = () => {
      for (let left = 50; left > 0; left--) {
        id += 1
        const name = ['known.example', `n${id}.wide.example`, `n${id}.elsewhere.example`][id % 3] ?? ''
        socket.send(query(id & 0xffff, name), dns, '127.0.0.1', () => {})
        counted('queries')
      }
      setImmediate(storm)
    }
    storm()
  },
}

/** RFC 1035 §4.1: a query for an A record. */
function query(id: number, name: string): Buffer {
  const labels = name.split('.').map((label) => `${String.fromCharCode(label.length)}${label}`)
  const text = `${String.fromCharCode(id >> 8, id & 255)}\x01\0\0\x01\0\0\0\0\0\0${labels.join('')}\0\0\x01\0\x01`
  return Buffer.from(text, 'latin1')
}

process.once('message', (orders: AttackOrders) => {
  const own = createHttpServer((request, response) => {
    request.resume()
    if (request.url !== '/never') response.end('as asked')
  })
  own.listen(orders.upstream, '127.0.0.1', () => void attacks[process.argv[2] ?? '']?.(orders))
})
process.on('message', (message) => {
  if (message === 'count') process.send?.(count)
})
process.once('disconnect', () => process.exit(0))
