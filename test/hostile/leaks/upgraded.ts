// Encodings × frames × fragments: what an upstream says of the credential over a connection that was upgraded.
import { binary, close, continuation, frame, ping, pong, saidInFrames, text } from './frames.ts'
import type { Counts } from './matrix.ts'
import { Reader } from './reader.ts'
import { type World, ways } from './world.ts'
import { writers } from './writers.ts'

const latin1 = (said: string) => Buffer.from(said, 'latin1')
const mask = Buffer.from('mask')

interface Place {
  /** Further lines of the head of the 101. */
  readonly fields?: (said: string) => string
  readonly protocol?: string
  /** What follows the head; each entry is a combination, and is written on its own. */
  stream(said: string): Buffer[]
}

/** Of longer texts not every place is tried. */
const mostCuts = 64

/** In two fragments at each place, with something said before and after. */
function fragments(said: string, opcode: number, between: Buffer[] = []): Buffer[] {
  const count = Math.min(mostCuts, said.length - 1)
  return Array.from({ length: count }, (_, number) => {
    const at = 1 + Math.floor((number * (said.length - 1)) / count)
    return Buffer.concat([
      frame(opcode, latin1(`you said ${said.slice(0, at)}`), { final: false }),
      ...between,
      frame(continuation, latin1(`${said.slice(at)}.`)),
    ])
  })
}

const control =
  (opcode: number, before = '') =>
  (said: string) =>
    before.length + said.length > 125 ? [] : [frame(opcode, latin1(before + said))]

const places: Readonly<Record<string, Place>> = {
  'a field of the 101': { fields: (said) => `X-Debug: ${said}\r\n`, stream: () => [frame(text, latin1('hello'))] },
  'the chosen subprotocol': {
    fields: (said) => `Sec-WebSocket-Protocol: ${said}\r\n`,
    stream: () => [frame(text, latin1('hello'))],
  },
  'a text frame': { stream: (said) => [frame(text, latin1(`you said ${said}.`))] },
  'a binary frame': { stream: (said) => [frame(binary, latin1(`\0\x01${said}\xff`))] },
  'a long frame': { stream: (said) => [frame(text, latin1(`${'more '.repeat(14_000)}${said},`))] },
  'two fragments': { stream: (said) => fragments(said, text) },
  'two fragments with a ping between': { stream: (said) => fragments(said, binary, [frame(ping, latin1('hi'))]) },
  'fragments of one byte': {
    stream: (said) => [
      Buffer.concat(
        [...said].map((character, at) =>
          frame(at === 0 ? text : continuation, latin1(character), { final: at === said.length - 1 }),
        ),
      ),
    ],
  },
  'a frame that comes byte by byte': {
    stream: (said) => [...frame(text, latin1(said))].map((byte) => Buffer.of(byte)),
  },
  'a message without an end': { stream: (said) => [frame(text, latin1(said), { final: false })] },
  'a ping': { stream: control(ping) },
  'a pong': { stream: control(pong, 'a ') },
  'a close': { stream: control(close, '\x03\xe8') },
  'a frame with a mask': { stream: (said) => [frame(text, latin1(said), { mask })] },
  'a compressed frame': { stream: (said) => [frame(text, latin1(said), { deflated: true })] },
  'a compressed frame under the extension': {
    fields: () => 'Sec-WebSocket-Extensions: permessage-deflate\r\n',
    stream: (said) => [frame(text, latin1(said), { deflated: true })],
  },
  'a compressed frame under a mask': { stream: (said) => [frame(binary, latin1(said), { deflated: true, mask })] },
  'bytes of another protocol': { protocol: 'something', stream: (said) => [latin1(`+OK ${said}\n`)] },
  'bytes of another protocol, one by one': {
    protocol: 'something',
    stream: (said) => [...latin1(`+OK ${said}\n`)].map((byte) => Buffer.of(byte)),
  },
}

/** @param every of how many connections one is opened */
export async function tryUpgraded(world: World, every: number, atOnce = 8): Promise<Counts> {
  const counts: Counts = { combinations: 0, leaks: [], unread: [], blanked: 0, dropped: 0, refused: 0, broken: 0 }
  const left = Object.entries(ways)
    .flatMap(([way, { secret }]) =>
      Object.entries(writers).flatMap(([writer, write]) =>
        Object.entries(places).map(([place, shape]) => ({
          name: `${way} × ${writer} × ${place}`,
          way,
          secret,
          write,
          shape,
        })),
      ),
    )
    .filter((_, at) => (Math.imul(at + 1, 2_654_435_761) >>> 8) % every === 0)
    .values()
  const one = async () => {
    await using agent = world.agent()
    for (const { name, way, secret, write, shape } of left) {
      const { fields = () => '', protocol = 'websocket', stream } = shape
      const pieces = stream(write(secret))
      if (pieces.length === 0) continue
      const head = `HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: ${protocol}\r\n${fields(write(secret))}\r\n`
      const got = await agent.upgrade(way, protocol, async () => ({ pieces: [latin1(head), ...pieces], ends: true }))
      // Told one by one they are one combination; otherwise each is one.
      counts.combinations += pieces[0]?.length === 1 ? 1 : pieces.length
      const reader = new Reader(secret)
      const reads = (bytes: Buffer) => saidIn(bytes, protocol).some((each) => reader.reads(each))
      if (reads(got)) counts.leaks.push(name)
      else if (got.includes('****')) counts.blanked++
      else if (got.includes('HTTP/1.1 502')) counts.refused++
      else counts.broken++
      if (!reads(Buffer.concat([latin1(head), ...pieces]))) counts.unread.push(name)
    }
  }
  await Promise.all(Array.from({ length: atOnce }, one))
  return counts
}

/** The head, and what was said after it. */
function saidIn(raw: Buffer, protocol: string): Buffer[] {
  const end = raw.indexOf('\r\n\r\n') + 4
  const after = raw.subarray(end)
  const framed = protocol === 'websocket' && raw.includes('HTTP/1.1 101')
  return [raw.subarray(0, end), ...(framed ? saidInFrames(after) : [after])]
}
