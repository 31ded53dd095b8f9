// Makes DNS queries as clients send them, and reads answers, for tests.
import { SocketAddress } from 'node:net'

interface Shape {
  readonly flags?: number
  readonly questions?: number
  /** Options of an OPT record. */
  readonly edns?: Buffer
}

export function query(name: string, type: number, { flags = 0x0100, questions = 1, edns }: Shape = {}): Buffer {
  const header = Buffer.alloc(12)
  header.writeUInt16BE(7, 0)
  header.writeUInt16BE(flags, 2)
  header.writeUInt16BE(questions, 4)
  header.writeUInt16BE(edns === undefined ? 0 : 1, 10)
  const labels = name === '' ? [] : name.split('.')
  const written = labels.map((label) => Buffer.concat([Buffer.of(label.length), Buffer.from(label)]))
  const question = Buffer.concat([...written, Buffer.of(0), Buffer.of(type >> 8, type & 255, 0, 1)])
  if (edns === undefined) return Buffer.concat([header, question])
  const opt = Buffer.from([0, 0, 41, 4, 208, 0, 0, 0, 0, edns.length >> 8, edns.length & 255])
  return Buffer.concat([header, question, opt, edns])
}

/** What an answer of the stub says. */
export function answerIn(bytes: Uint8Array) {
  const view = Buffer.from(bytes)
  const labels: string[] = []
  let at = 12
  for (let length = view[at] ?? 0; length !== 0; length = view[at] ?? 0) {
    labels.push(view.toString('latin1', at + 1, at + 1 + length))
    at += 1 + length
  }
  at += 5
  const addresses: string[] = []
  const ttls: number[] = []
  for (let left = view.readUInt16BE(6); left > 0; left -= 1) {
    const length = view.readUInt16BE(at + 10)
    ttls.push(view.readUInt32BE(at + 6))
    const address = view.subarray(at + 12, at + 12 + length)
    addresses.push(
      length === 4
        ? address.join('.')
        : new SocketAddress({ address: address.toString('hex').replace(/(.{4})(?=.)/g, '$1:'), family: 'ipv6' })
            .address,
    )
    at += 12 + length
  }
  return { id: view.readUInt16BE(0), code: view.readUInt16BE(2) & 15, name: labels.join('.'), addresses, ttls }
}
