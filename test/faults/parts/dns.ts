// A name server for the proxy alone, in a mount namespace of its own: names below a.test are disturbed, all others are well.
import { createSocket, type Socket } from 'node:dgram'
import { once } from 'node:events'
import { Flapping, type Kind, type Part } from '../part.ts'

/** Milliseconds. */
const late = 3_000
const typeA = 1

/** Why the part cannot be played here; undefined when it can. */
export function whyNoDns(): string | undefined {
  if (process.platform !== 'linux') return 'only Linux has mount namespaces'
  if (process.getuid?.() !== 0) return 'it takes root to listen on port 53 and to have another resolv.conf'
  return undefined
}

export class Dns implements Part {
  readonly name = 'DNS'
  readonly address: string
  readonly #socket: Socket
  readonly #flapping = new Flapping((well) => {
    this.#state = well ? 'well' : 'dead'
  }, 300)
  #state: Kind | 'well' = 'well'
  #told = 0

  private constructor(address: string, socket: Socket) {
    this.address = address
    this.#socket = socket
    socket.on('message', (query, { port, address: from }) => this.#asked(query, port, from))
  }

  /** On an address of loopback that nobody else has. */
  static async open(): Promise<Dns> {
    for (;;) {
      const [b, c, d] = Array.from({ length: 3 }, () => 1 + Math.floor(Math.random() * 250))
      const address = `127.${b}.${c}.${d}`
      const socket = createSocket('udp4')
      try {
        socket.bind(53, address)
        await once(socket, 'listening')
        return new Dns(address, socket)
      } catch (error) {
        socket.close()
        if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw error
      }
    }
  }

  begin(kind: Kind): void {
    if (kind === 'flapping') this.#flapping.begin()
    else this.#state = kind
  }

  end(): void {
    this.#flapping.end()
    this.#state = 'well'
  }

  close(): void {
    this.#socket.close()
  }

  #asked(query: Buffer, port: number, from: string): void {
    const reply = (answer: Buffer) => {
      // Closed meanwhile, when it was late.
      try {
        this.#socket.send(answer, port, from)
      } catch {}
    }
    const { name, type, end } = question(query)
    const state = name === 'a.test' || name.endsWith('.a.test') ? this.#state : 'well'
    const well = () => answerTo(query, end, type === typeA ? '127.0.0.1' : undefined)
    if (state === 'well') reply(well())
    else if (state === 'slow') setTimeout(() => reply(well()), late).unref()
    else if (state === 'lying') reply(this.#lie(query, end, type))
  }

  #lie(query: Buffer, end: number, type: number): Buffer {
    switch (this.#told++ % 5) {
      case 0:
        return answerTo(query, end, undefined, 3)
      case 1:
        return answerTo(query, end, undefined, 2)
      case 2:
        return answerTo(query, end, type === typeA ? '169.254.169.254' : undefined)
      case 3:
        return answerTo(query, end, type === typeA ? '10.1.2.3' : undefined)
      default:
        return answerTo(query, end, undefined)
    }
  }
}

/** Resolvers of the system ask one well-formed question (RFC 1035 §4.1.2). */
function question(query: Buffer): { name: string; type: number; end: number } {
  const labels: string[] = []
  let at = 12
  for (let length = query.readUInt8(at); length > 0; length = query.readUInt8(at)) {
    labels.push(query.toString('latin1', at + 1, at + 1 + length))
    at += 1 + length
  }
  return { name: labels.join('.').toLowerCase(), type: query.readUInt16BE(at + 1), end: at + 5 }
}

/** @param address undefined: there is none of this type */
function answerTo(query: Buffer, end: number, address: string | undefined, code = 0): Buffer {
  const head = Buffer.from(query.subarray(0, end))
  head.writeUInt16BE(0x8180 | code, 2)
  head.writeUInt16BE(address === undefined ? 0 : 1, 6)
  head.fill(0, 8, 12)
  if (address === undefined) return head
  // A pointer to the name of the question, A, IN, one second, four bytes.
  return Buffer.concat([head, Buffer.from([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 1, 0, 4, ...address.split('.').map(Number)])])
}
