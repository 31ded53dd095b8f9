// The first bytes of a connection: whoever connects writes them.
import { readClientHello } from '../../../proxy/capture/client-hello.ts'
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
  run(input) {
    const reading = readClientHello(input)
    if (reading.state === 'hello') {
      const { serverName, alpn: protocols } = reading.hello
      must(serverName === undefined || /^[\x21-\x7e]{1,255}$/.test(serverName), 'a name that is not visible ASCII')
      must(
        protocols.every((protocol) => protocol !== ''),
        'an empty protocol',
      )
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
