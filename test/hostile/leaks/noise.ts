// Bytes in which no credential stands, and what the scanner takes for one all the same.
import { randomBytes } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Needles } from '../../../proxy/redact/needles.ts'
import { Scanner } from '../../../proxy/redact/scanner.ts'
import { Secret } from '../../../proxy/secret.ts'

const chunkBytes = 65_536
const packages = fileURLToPath(new URL('../../../node_modules/', import.meta.url))

const escaped = (write: (byte: number) => string) =>
  Buffer.from(Array.from(Buffer.from(randomBytes(chunkBytes / 8).toString('base64')), write).join(''))
const hex = (byte: number) => byte.toString(16).padStart(2, '0')

/** Each is made anew each time. */
const random: Readonly<Record<string, () => Buffer>> = {
  'random bytes': () => randomBytes(chunkBytes),
  'random base64': () => Buffer.from(randomBytes(chunkBytes).toString('base64')),
  'random base64url': () => Buffer.from(randomBytes(chunkBytes).toString('base64url')),
  'random hexadecimal': () => Buffer.from(randomBytes(chunkBytes).toString('hex')),
  'random percent escapes': () => escaped((byte) => `%${hex(byte)}`),
  'random \\u escapes': () => escaped((byte) => `\\u00${hex(byte)}`),
}

/** What is installed here: sources, texts, maps, and programs. */
function* files(): Generator<string> {
  for (;;) {
    const all = readdirSync(packages, { recursive: true, withFileTypes: true })
    for (const entry of all) if (entry.isFile()) yield join(entry.parentPath, entry.name)
  }
}

export interface Noise {
  readonly kind: string
  readonly bytes: number
  readonly found: number
}

/** @param bytes how many are looked through, half of them random, half from files. @param secrets are looked for together */
export function tryNoise(bytes: number, secrets: readonly string[]): Noise[] {
  const needles = Needles.of(secrets.map((secret) => new Secret('canary', secret)))
  if (needles === undefined) throw new Error('nothing to look for')
  const share = bytes / 2 / Object.keys(random).length
  return [
    ...Object.entries(random).map(([kind, make]) => scanned(kind, needles, share, make)),
    scanned('files', needles, bytes / 2, contentOf(files())),
  ]
}

function contentOf(paths: Generator<string>): () => Buffer {
  let rest: Buffer = Buffer.alloc(0)
  return () => {
    while (rest.length === 0) rest = readFileSync(paths.next().value)
    const chunk = rest.subarray(0, chunkBytes)
    rest = rest.subarray(chunkBytes)
    return chunk
  }
}

function scanned(kind: string, needles: Needles, atLeast: number, make: () => Buffer): Noise {
  const scanner = new Scanner(needles)
  let bytes = 0
  let given = 0
  while (bytes < atLeast) {
    const chunk = make()
    bytes += chunk.length
    given += scanner.push(chunk).length
  }
  given += scanner.finish().length
  // A wrong length is as bad as a wrong find.
  return { kind, bytes, found: scanner.count + (given === bytes ? 0 : 1) }
}
