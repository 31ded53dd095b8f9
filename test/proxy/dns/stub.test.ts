import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { Answerer, type DnsResult, mostUnderWay, mostWaiting } from '../../../proxy/dns/answer.ts'
import { Pins, pinned } from '../../../proxy/dns/pins.ts'
import { DnsStub, mostStreams } from '../../../proxy/dns/stub.ts'
import { mostNewNames, NewNames } from '../../../proxy/dns/tunnels.ts'
import { addressBytes } from '../../../proxy/identify/kernel/tcp-ends.ts'
import { Refusal } from '../../../proxy/refusal.ts'
import { answerIn, query } from './queries.ts'

const hosts: Record<string, readonly string[]> = {
  'api.example': ['203.0.113.7', '2001:db8::7'],
  'old.example': ['203.0.113.8'],
}
let now: number
let pins: Pins
let results: DnsResult[]
let asked: string[]
/** Held back resolutions. */
let held: Promise<void>
let stub: DnsStub
let answerer: Answerer

beforeEach(async () => {
  now = 1_000_000
  pins = new Pins(() => now)
  results = []
  asked = []
  held = Promise.resolve()
  answerer = new Answerer({
    allowed(host) {
      if (host in hosts || host.startsWith('host-') || host === 'gone.example' || host === 'broken.example')
        return { below: undefined }
      return host.endsWith('.wild.example') ? { below: 'wild.example' } : undefined
    },
    async resolve(host) {
      asked.push(host)
      await held
      if (host === 'gone.example') throw new Refusal('upstream_unresolved', { detail: 'gone.example: ENOTFOUND' })
      if (host === 'broken.example') throw new Refusal('upstream_unresolved', { detail: 'broken.example: EAI_AGAIN' })
      return hosts[host] ?? ['203.0.113.99']
    },
    pins,
    newNames: new NewNames(() => now),
  })
  const onResult = (result: DnsResult) => results.push(result)
  stub = await DnsStub.open({ kind: 'tcp', host: '127.0.0.1', port: 0 }, { answerer, addressBytes, onResult })
})
afterEach(async () => stub?.close())

async function ask(name: string, type = 1): Promise<ReturnType<typeof answerIn>> {
  const socket = createSocket('udp4')
  socket.send(query(name, type), stub.port, '127.0.0.1')
  const [answer] = (await once(socket, 'message')) as [Buffer]
  socket.close()
  return answerIn(answer)
}

describe('a name', () => {
  it.each([
    'evil.example',
    'example',
    'api.example.evil.example',
    'localhost',
    '7.113.0.203.in-addr.arpa',
    'xn--',
    '-a.b',
  ])('%s that no rule could allow does not exist, and nobody is asked', async (name) => {
    expect(await ask(name)).toMatchObject({ code: 3, addresses: [] })
    expect(asked).toEqual([])
    expect(results).toEqual(['not_allowed'])
  })

  it.each([16, 10, 255, 5, 15, 33, 65, 64])('that is allowed has nothing of type %i', async (type) => {
    expect(await ask('api.example', type)).toMatchObject({ code: 0, addresses: [] })
    expect(asked).toEqual([])
  })

  it('that is allowed has its addresses, by family, and they are remembered', async () => {
    expect(await ask('API.example', 1)).toMatchObject({ name: 'API.example', addresses: ['203.0.113.7'] })
    expect(await ask('api.example', 28)).toMatchObject({ addresses: ['2001:db8::7'] })
    expect(await ask('old.example', 28)).toMatchObject({ code: 0, addresses: [] })
    expect(pins.namesOf('203.0.113.7')).toEqual(['api.example'])
    expect(pins.namesOf('2001:db8::7')).toEqual(['api.example'])
    now += pinned
    expect(pins.namesOf('203.0.113.7')).toEqual([])
  })

  it('that does not exist, or whose servers fail, is told so', async () => {
    expect(await ask('gone.example')).toMatchObject({ code: 3 })
    expect(await ask('broken.example')).toMatchObject({ code: 2 })
  })
})

describe('a tunnel', () => {
  it.each(['www', 'eu-west-1.objects', 'my-department-of-internal-affairs'])(
    'is not what %s says below a suffix',
    async (prefix) => {
      expect(await ask(`${prefix}.wild.example`)).toMatchObject({ code: 0, addresses: ['203.0.113.99'] })
    },
  )

  it.each([
    'kz3dqmjxgeydcmbrgi4tqnzwgu2dgmrr',
    '4a6f686e20446f6520313233342d353637382d39303132',
    'a.b.c.d.e',
    `${'ab.'.repeat(3)}${'hello'.repeat(12)}`,
  ])('is what %s looks like', async (prefix) => {
    expect(await ask(`${prefix}.wild.example`)).toMatchObject({ code: 3 })
    expect(results).toEqual(['tunnel'])
    expect(asked).toEqual([])
  })

  it('of many short names runs dry, and names asked for before still work', async () => {
    for (let at = 0; at < mostNewNames; at += 1) expect((await ask(`n${at}.wild.example`)).code).toBe(0)
    expect((await ask('one-more.wild.example')).code).toBe(3)
    expect((await ask('n0.wild.example')).code).toBe(0)
    now += 60_000
    expect((await ask('one-more.wild.example')).code).toBe(0)
  })
})

describe('the stub', () => {
  it('answers over a stream, several queries one after the other, in pieces', async () => {
    const socket = connect(stub.port, '127.0.0.1')
    const framed = (bytes: Buffer) => Buffer.concat([Buffer.of(bytes.length >> 8, bytes.length & 255), bytes])
    const both = Buffer.concat([framed(query('api.example', 1)), framed(query('evil.example', 1))])
    socket.write(both.subarray(0, 5))
    socket.end(both.subarray(5))
    let got = Buffer.alloc(0)
    for await (const chunk of socket) got = Buffer.concat([got, chunk])
    const first = got.readUInt16BE(0)
    expect(answerIn(got.subarray(2, 2 + first))).toMatchObject({ addresses: ['203.0.113.7'] })
    expect(answerIn(got.subarray(4 + first))).toMatchObject({ code: 3 })
  })

  it('answers on sockets that somebody else opened, and closes them', async () => {
    const datagrams = createSocket('udp4')
    datagrams.bind(0, '127.0.0.1')
    const streams = createServer(() => expect.unreachable('the server of before')).listen(0, '127.0.0.1')
    await Promise.all([once(datagrams, 'listening'), once(streams, 'listening')])
    const { port } = streams.address() as AddressInfo
    await stub.close()
    stub = await DnsStub.adopt(datagrams, streams, {
      answerer,
      addressBytes,
      onResult: (result) => results.push(result),
    })
    expect(await ask('api.example')).toMatchObject({ code: 0, addresses: ['203.0.113.7'] })
    const socket = connect(port, '127.0.0.1')
    const message = query('api.example', 1)
    socket.write(Buffer.concat([Buffer.of(0, message.length), message]))
    const [answer] = (await once(socket, 'data')) as [Buffer]
    expect(answerIn(answer.subarray(2))).toMatchObject({ code: 0, addresses: ['203.0.113.7'] })
    await stub.close()
    const [error] = await once(connect(port, '127.0.0.1'), 'error')
    expect(error).toMatchObject({ code: 'ECONNREFUSED' })
    stub = await DnsStub.open(
      { kind: 'tcp', host: '127.0.0.1', port: 0 },
      { answerer, addressBytes, onResult: () => {} },
    )
  })

  it('closes a stream that announces more than a query can be', async () => {
    const socket = connect(stub.port, '127.0.0.1')
    socket.resume().write(Buffer.of(0xff, 0xff))
    await once(socket, 'close')
  })

  it('closes a stream that is one too many, and answers on the others', async () => {
    const streams = Array.from({ length: mostStreams }, () => connect(stub.port, '127.0.0.1'))
    try {
      await Promise.all(streams.map((each) => once(each, 'connect')))
      // Those are accepted in the order in which they came, so that what is answered was before the next.
      const question = query('api.example', 1)
      const last = streams.at(-1)
      last?.write(Buffer.concat([Buffer.of(question.length >> 8, question.length & 255), question]))
      if (last !== undefined) await once(last, 'data')
      const surplus = connect(stub.port, '127.0.0.1').resume()
      surplus.on('error', () => {})
      await once(surplus, 'close')
      expect(streams.filter(({ destroyed }) => destroyed)).toEqual([])
    } finally {
      for (const each of streams) each.destroy()
    }
  })

  describe('closes a stream', () => {
    const framed = (bytes: Buffer) => Buffer.concat([Buffer.of(bytes.length >> 8, bytes.length & 255), bytes])
    const patience = 200
    /** Also by a reset, which is what a client gets that still writes. */
    const closed = (socket: Socket) => new Promise((resolve) => socket.on('error', () => {}).once('close', resolve))

    beforeEach(async () => {
      await stub.close()
      const onResult = (result: DnsResult) => results.push(result)
      const address = { kind: 'tcp', host: '127.0.0.1', port: 0 } as const
      stub = await DnsStub.open(address, { answerer, addressBytes, onResult, streamIdle: patience })
    })

    it('on which nothing is said, and none on which something is', async () => {
      const [silent, asking] = [connect(stub.port, '127.0.0.1').resume(), connect(stub.port, '127.0.0.1')]
      try {
        await once(asking, 'connect')
        while (!silent.closed) {
          asking.write(framed(query('api.example', 1)))
          await once(asking, 'data', { signal: AbortSignal.timeout(10 * patience) })
        }
        expect(asking.destroyed).toBe(false)
      } finally {
        asking.destroy()
      }
    })

    it('on which a query comes byte by byte and never whole', async () => {
      const socket = connect(stub.port, '127.0.0.1').resume()
      socket.write(Buffer.of(2, 0))
      const drip = setInterval(() => socket.write('x'), patience / 10)
      try {
        await closed(socket)
        expect(results).toEqual([])
      } finally {
        clearInterval(drip)
      }
    })

    it('whose answers are not read, and answers no more', async () => {
      const socket = connect(stub.port, '127.0.0.1').pause()
      const gone = closed(socket)
      const many = Buffer.concat(Array<Buffer>(500).fill(framed(query(Array(3).fill('x'.repeat(63)).join('.'), 1))))
      const write = () => {
        while (!socket.destroyed && socket.write(many));
      }
      socket.on('drain', write)
      write()
      await gone
    })
  })

  it('says what is malformed, and nothing to a response', async () => {
    const socket = createSocket('udp4')
    socket.send(query('api.example', 1, { flags: 0x8180 }), stub.port, '127.0.0.1')
    socket.send(query('api.example', 1, { questions: 3 }), stub.port, '127.0.0.1')
    const [answer] = (await once(socket, 'message')) as [Buffer]
    socket.close()
    expect(answerIn(Buffer.concat([answer, Buffer.alloc(5)])).code).toBe(1)
    expect(results).toEqual(['malformed', 'malformed'])
  })

  it('asks once for both families of a name', async () => {
    let release: () => void = () => {}
    held = new Promise((resolve) => {
      release = resolve
    })
    const both = Promise.all([ask('api.example', 1), ask('api.example', 28), ask('api.example', 65)])
    while (!results.includes('empty')) await new Promise((resolve) => setImmediate(resolve))
    release()
    expect((await both).map(({ addresses }) => addresses)).toEqual([['203.0.113.7'], ['2001:db8::7'], []])
    expect(asked).toEqual(['api.example'])
  })

  it('asks for so many names at once and no more', async () => {
    let release: () => void = () => {}
    held = new Promise((resolve) => {
      release = resolve
    })
    const all = Promise.all(Array.from({ length: mostUnderWay + 1 }, (_, at) => ask(`host-${at}.example`)))
    while (!results.includes('overloaded')) await new Promise((resolve) => setImmediate(resolve))
    release()
    expect((await all).filter(({ code }) => code === 2)).toHaveLength(1)
  })

  it('lets so many queries wait for one name and no more', async () => {
    let release: () => void = () => {}
    held = new Promise((resolve) => {
      release = resolve
    })
    const { queries, answered } = answeredWithout(mostWaiting + 1)
    expect(await answered).toMatchObject({ result: 'overloaded', code: 2 })
    release()
    expect((await Promise.all(queries)).filter(({ result }) => result === 'answered')).toHaveLength(mostWaiting)
    // Whoever comes later finds room.
    expect((await ask('api.example')).addresses).toEqual(['203.0.113.7'])
  })
})

/** So many queries for one name at once, without a socket that would lose some of them; and the first that is answered. */
function answeredWithout(count: number) {
  const asking = { name: 'api.example', type: 1, class: 1, recursionDesired: true, edns: false }
  const queries = Array.from({ length: count }, () => answerer.answer({ ...asking, id: 7, question: new Uint8Array() }))
  return { queries, answered: Promise.race(queries) }
}
