// The inputs that are kept, one line of base64 each, and where failures are written.
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const here = dirname(fileURLToPath(import.meta.url))

const fileOf = (target: string) => join(here, 'corpus', `${target}.txt`)

export function readCorpus(target: string): readonly Uint8Array[] {
  const file = fileOf(target)
  if (!existsSync(file)) return []
  // An empty input is an empty line.
  return readFileSync(file, 'latin1')
    .split('\n')
    .slice(0, -1)
    .map((line) => Buffer.from(line, 'base64'))
}

export function writeCorpus(target: string, inputs: readonly Uint8Array[]): void {
  const lines = inputs.map((input) => `${Buffer.from(input).toString('base64')}\n`).toSorted()
  mkdirSync(dirname(fileOf(target)), { recursive: true })
  writeFileSync(fileOf(target), lines.join(''))
}

/** @returns the path of the file, which `--replay` takes */
export function writeFailure(folder: string, target: string, kind: string, input: Uint8Array): string {
  mkdirSync(folder, { recursive: true })
  const digest = createHash('sha256').update(input).digest('hex').slice(0, 12)
  const path = join(folder, `${target}-${kind}-${digest}`)
  writeFileSync(path, input)
  return path
}
