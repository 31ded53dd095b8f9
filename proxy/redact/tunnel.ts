// Looks for secrets in what the upstream sends over a connection that was upgraded. What the agent sends passes as it is.
import { Duplex } from 'node:stream'
import type { Echoes } from './echoes.ts'
import type { Needles } from './needles.ts'
import { Scanner } from './scanner.ts'
import { MessageScanner } from './websocket.ts'

/** Gives what can go out of what came in, and counts what was found. */
interface StreamScanner {
  readonly count: number
  push(chunk: Buffer): readonly Uint8Array[]
  finish(): readonly Uint8Array[]
}

export class InspectedTunnel extends Duplex {
  readonly #upstream: Duplex
  readonly #scanner: StreamScanner
  readonly #echoes: Echoes
  #noted = 0
  #ended = false

  /** @param protocol as named by Upgrade, lower case */
  constructor(upstream: Duplex, protocol: string | undefined, needles: Needles, echoes: Echoes) {
    super({ allowHalfOpen: true })
    this.#upstream = upstream
    this.#echoes = echoes
    this.#scanner = protocol === 'websocket' ? framesOf(needles) : bytesOf(needles)
    upstream.on('data', (chunk: Buffer) => this.#pass(() => this.#scanner.push(chunk)))
    upstream.on('end', () => {
      this.#pass(() => this.#scanner.finish())
      this.#ended = true
      this.push(null)
    })
    upstream.on('error', (error) => this.destroy(error))
    upstream.on('close', () => {
      // What it sent before is still read to its end.
      if (this.#ended && !this.readableEnded) this.once('end', () => this.destroy())
      else this.destroy()
    })
    upstream.pause()
  }

  #pass(scan: () => readonly Uint8Array[]): void {
    if (this.destroyed) return
    try {
      const parts = scan()
      this.#echoes.add('tunnel', this.#scanner.count - this.#noted)
      this.#noted = this.#scanner.count
      if (this.#echoes.blocked) throw this.#echoes.refusal()
      let wanted = true
      for (const part of parts) wanted = this.push(part)
      if (!wanted) this.#upstream.pause()
    } catch (error) {
      this.destroy(error instanceof Error ? error : new Error(String(error)))
    }
  }

  override _read(): void {
    this.#upstream.resume()
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    if (this.#upstream.destroyed) done()
    else this.#upstream.write(chunk, done)
  }

  override _final(done: (error?: Error | null) => void): void {
    if (this.#upstream.destroyed) done()
    else this.#upstream.end(() => done())
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#upstream.destroy()
    done(error)
  }
}

function framesOf(needles: Needles): StreamScanner {
  const messages = new MessageScanner(needles)
  return {
    get count() {
      return messages.count
    },
    push: (chunk) => messages.push(chunk),
    // A frame that is not complete is of no use to the agent.
    finish: () => [],
  }
}

function bytesOf(needles: Needles): StreamScanner {
  const scanner = new Scanner(needles)
  return {
    get count() {
      return scanner.count
    },
    push: (chunk) => [scanner.push(chunk)].filter((part) => part.length > 0),
    finish: () => [scanner.finish()].filter((part) => part.length > 0),
  }
}
