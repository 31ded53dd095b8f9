// Questions whose answers would tell of the credential bit by bit, without ever holding it whole.
import { gzipSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Answering, type Got, openWorld, type World, ways } from './world.ts'

const secret = ways.bearer?.secret ?? ''
let world: World

beforeAll(async () => {
  world = await openWorld()
})
afterAll(async () => {
  await world[Symbol.asyncDispose]()
})

const latin1 = (text: string) => Buffer.from(text, 'latin1')

async function ask(method: string, answering: Answering, ...fields: string[]): Promise<Got & { text: string }> {
  await using agent = world.agent()
  const got = await agent.ask('bearer', method, answering, ...fields)
  return { ...got, text: got.raw.toString('latin1') }
}

const answer =
  (head: string, body: Buffer): Answering =>
  async () => ({
    pieces: [latin1(`${head}\r\n\r\n`), body],
    ends: false,
  })

/** Bytes of the answer after its head. */
const lengthOf = ({ text }: { text: string }) => text.length - text.indexOf('\r\n\r\n') - 4

describe('single bytes', () => {
  it.each(['Range: bytes=7-7', 'range: bytes=0-0,2-2,4-4', 'If-Range: "v1"'])(
    'cannot be asked for, so that an honest server gives the whole: %s',
    async (field) => {
      const { text } = await ask(
        'GET',
        async (said) => {
          const asked = /^(range|if-range):/im.test(world.seen.at(-1) ?? '')
          return {
            pieces: [latin1(`HTTP/1.1 200 OK\r\nContent-Length: ${said.length}\r\nX-Asked: ${asked}\r\n\r\n${said}`)],
            ends: false,
          }
        },
        field,
      )
      expect(text).toContain('X-Asked: false')
      expect(text.endsWith('*'.repeat(secret.length))).toBe(true)
    },
  )

  it('that stand together again in several parts are found where the parts are whole', async () => {
    const part = (text: string) => `--b\r\nContent-Range: bytes 0-${text.length - 1}/100\r\n\r\n${text}\r\n`
    const { text } = await ask('GET', async (said) => {
      const body = `${part('x')}${part(said)}--b--\r\n`
      return {
        pieces: [
          latin1(
            `HTTP/1.1 206 Partial Content\r\nContent-Type: multipart/byteranges; boundary=b\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
          ),
        ],
        ends: false,
      }
    })
    expect(text).toContain('*'.repeat(secret.length))
    expect(text).not.toContain(secret)
  })
})

describe('lengths', () => {
  const guesses = [`${secret.slice(0, 20)}`, 'Wj5h!unrelated_Xp0Qd']
  /** As a compressing server does: the better the guess, the shorter the code. */
  const reflected = (guess: string, said: string) => gzipSync(`you asked for ${guess}; authorization: Bearer ${said}`)

  it('of a compressed body differ at the upstream with the guess', () => {
    const [right = 0, wrong = 0] = guesses.map((guess) => reflected(guess, secret).length)
    expect(right).toBeLessThan(wrong)
  })

  it('of what the agent gets are the same for a right guess and a wrong one', async () => {
    const lengths = []
    for (const guess of guesses) {
      const got = await ask(
        'GET',
        async (said) => {
          const body = reflected(guess, said)
          return {
            pieces: [
              latin1(`HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: ${body.length}\r\n\r\n`),
              body,
            ],
            ends: false,
          }
        },
        'Accept-Encoding: gzip',
      )
      expect(got.text).not.toMatch(/content-length|content-encoding/i)
      lengths.push(lengthOf(got))
    }
    expect(lengths[0]).toBe(lengths[1])
  })

  it('of compressed bodies are not told in the answer to HEAD either, nor in 304', async () => {
    for (const [method, status] of [
      ['HEAD', '200 OK'],
      ['GET', '304 Not Modified'],
    ] as const) {
      const { text, status: got } = await ask(
        method,
        answer(
          `HTTP/1.1 ${status}\r\nContent-Encoding: gzip\r\nContent-Length: 87\r\nContent-MD5: abc\r\nDigest: sha-256=abc\r\nETag: "v1"`,
          Buffer.alloc(0),
        ),
      )
      expect(got).toBe(Number(status.slice(0, 3)))
      expect(text).not.toMatch(/content-length|content-encoding|content-md5|digest/i)
      expect(text).toContain('W/"v1"')
    }
  })

  it('of a plain body stay as they are when it is blanked: they tell how long the credential is, and no more', async () => {
    const body = `Bearer ${secret}`
    const length = `Content-Length: ${body.length}`
    const whole = await ask('GET', answer(`HTTP/1.1 200 OK\r\n${length}`, latin1(body)))
    const head = await ask('HEAD', answer(`HTTP/1.1 200 OK\r\n${length}`, Buffer.alloc(0)))
    expect(whole.text).toContain(length)
    expect(head.text).toContain(length)
    expect(whole.text.endsWith(`Bearer ${'*'.repeat(secret.length)}`)).toBe(true)
  })
})

describe('conditions', () => {
  it('leave as they came, and a tag that holds the credential comes back blanked', async () => {
    const { text, status } = await ask(
      'GET',
      async (said) => ({
        pieces: [latin1(`HTTP/1.1 304 Not Modified\r\nETag: "${Buffer.from(said).toString('hex')}"\r\n\r\n`)],
        ends: false,
      }),
      'If-None-Match: "guess"',
      'If-Modified-Since: Tue, 24 Nov 2026 04:00:00 GMT',
    )
    expect(status).toBe(304)
    expect(world.seen.at(-1)).toMatch(/if-none-match: "guess"/i)
    expect(world.seen.at(-1)).toMatch(/if-modified-since/i)
    expect(text).toContain(`"${'*'.repeat(secret.length * 2)}"`)
  })
})

describe('methods that give back what they get', () => {
  it('TRACE is not sent at all', async () => {
    const before = world.seen.length
    const { text } = await ask(
      'TRACE',
      answer('HTTP/1.1 200 OK\r\nContent-Length: 0', Buffer.alloc(0)),
      'Max-Forwards: 0',
    )
    expect(text).toContain('"reason":"placement_conflict"')
    expect(world.seen.length).toBe(before)
  })

  it.each(['OPTIONS', 'GET'])(
    '%s leaves without Max-Forwards, by which a gateway on the way would answer',
    async (method) => {
      await ask(
        method,
        answer('HTTP/1.1 200 OK\r\nContent-Length: 0', Buffer.alloc(0)),
        'Max-Forwards: 0',
        'max_forwards: 0',
      )
      expect(world.seen.at(-1)).not.toMatch(/max.forwards/i)
    },
  )
})
