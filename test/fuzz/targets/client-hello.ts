// The first bytes of a connection: whoever connects writes them.
import { readClientHello } from '../../../proxy/capture/client-hello.ts'
import { mutated } from '../mutate.ts'
import type { Random } from '../random.ts'
import { must, mustEqual, type Target } from '../target.ts'

const vector = (width: 1 | 2 | 3, ...parts: readonly (Uint8Array | string)[]): Buffer => {
  const content = Buffer.concat(parts.map((part) => Buffer.from(part)))
  const head = Buffer.alloc(width)
  head.writeUIntBE(content.length, 0, width)
  return Buffer.concat([head, content])
}
const uint16 = (value: number): Buffer => Buffer.of(value >> 8, value & 0xff)
const extension = (type: number, data: Uint8Array): Buffer => Buffer.concat([uint16(type), vector(2, data)])

const sni = extension(0, vector(2, Buffer.of(0), vector(2, 'api.crm.example')))
const alpn = extension(16, vector(2, vector(1, 'h2'), vector(1, 'http/1.1')))
const grease = extension(0x2a2a, Buffer.alloc(0))
const keyShare = extension(51, vector(2, uint16(29), vector(2, Buffer.alloc(32, 7))))

function message(...extensions: readonly Uint8Array[]): Buffer {
  const body = [
    uint16(0x0303),
    Buffer.alloc(32, 1),
    vector(1, Buffer.alloc(32)),
    vector(2, '\x13\x01\x13\x02'),
    vector(1, '\0'),
  ]
  return Buffer.concat([
    Buffer.of(1),
    vector(3, ...body, ...(extensions.length === 0 ? [] : [vector(2, ...extensions)])),
  ])
}

const record = (fragment: Uint8Array): Buffer => Buffer.concat([Buffer.of(22, 3, 1), vector(2, fragment)])
const whole = message(grease, sni, alpn, keyShare)

export const target: Target = {
  name: 'client-hello',
  seeds: [
    record(whole),
    record(message()),
    Buffer.concat([record(whole.subarray(0, 3)), record(whole.subarray(3, 60)), record(whole.subarray(60))]),
  ],
  dictionary: [sni, alpn, grease, keyShare, Buffer.of(22, 3, 1), Buffer.of(0, 0), Buffer.of(0, 16), 'a.example', '\0'],
  mutate,
  run(input) {
    const reading = readClientHello(input)
    if (reading.state === 'hello') {
      const { serverName, alpn: protocols } = reading.hello
      must(serverName === undefined || /^[\x21-\x7e]{1,255}$/.test(serverName), 'a name that is not visible ASCII')
      must(
        protocols.every((protocol) => protocol !== ''),
        'an empty protocol',
      )
      const { names, types } = readAgain(input)
      mustEqual(names, serverName === undefined ? [] : [serverName], 'another reader finds other names')
      mustEqual(new Set(types).size, types.length, 'an extension that comes twice')
      mustEqual(
        readClientHello(Buffer.concat([input, Buffer.of(23, 3, 3, 0, 1)])),
        reading,
        'what follows it changes it',
      )
    }
    // A part of it says the same, or that it is a part.
    const cut = input.length === 0 ? 0 : ((input[input.length - 1] ?? 0) * 7919) % input.length
    const part = readClientHello(input.subarray(0, cut))
    if (part.state === 'more') return
    must(part.state === reading.state, `a part is ${part.state} and the whole ${reading.state}`)
    if (part.state === 'hello') mustEqual(part, reading, 'a part names another host')
  },
}

/** A hello of any extensions, some of them changed, in one record or several; all lengths fit. */
function mutate(input: Uint8Array, random: Random): Uint8Array {
  const some = Array.from({ length: random.below(6) }, () => {
    const type = random.pick([0, 0, 16, 16, 51, 0x2a2a, random.below(65_536)])
    const sound = random.pick([sni, alpn, grease, keyShare]).subarray(4)
    const data = random.oneIn(2) ? sound : mutated(sound, random, { dictionary: [], other: input, longest: 300 })
    return random.oneIn(3) ? random.pick([sni, alpn, grease]) : extension(type, data)
  })
  const made = message(...some)
  const cut = random.oneIn(3) ? random.below(made.length) : made.length
  return Buffer.concat(
    [made.subarray(0, cut), made.subarray(cut)].flatMap((part) => (part.length === 0 ? [] : [record(part)])),
  )
}

/** A second reader, which takes a sound hello for granted: the names and the types of the extensions. */
function readAgain(input: Uint8Array): { readonly names: readonly string[]; readonly types: readonly number[] } {
  const bytes = Buffer.from(input)
  const fragments: Buffer[] = []
  for (let at = 0; at + 5 <= bytes.length; at += 5 + bytes.readUInt16BE(at + 3))
    fragments.push(bytes.subarray(at + 5, at + 5 + bytes.readUInt16BE(at + 3)))
  const joined = Buffer.concat(fragments)
  const hello = joined.subarray(4, 4 + joined.readUIntBE(1, 3))
  let at = 34
  at += 1 + (hello[at] ?? 0)
  at += 2 + hello.readUInt16BE(at)
  at += 1 + (hello[at] ?? 0)
  const [names, types]: [string[], number[]] = [[], []]
  for (at += 2; at + 4 <= hello.length; at += 4 + hello.readUInt16BE(at + 2)) {
    const type = hello.readUInt16BE(at)
    types.push(type)
    if (type === 0) names.push(hello.toString('latin1', at + 9, at + 9 + hello.readUInt16BE(at + 7)))
  }
  return { names, types }
}
