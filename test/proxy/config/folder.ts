// A folder with a configuration in it, for one test.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { onTestFinished } from 'vitest'
import { loadConfig } from '../../../proxy/config/load.ts'
import { ConfigError } from '../../../proxy/config/problems.ts'
import type { Config } from '../../../proxy/config/schema.ts'
import { good } from './good.ts'

/** @returns the path of the folder; it is gone when the test has ended */
export function folderWith(files: Readonly<Record<string, string | Uint8Array>>): string {
  const folder = mkdtempSync(join(tmpdir(), 'postern-config-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true })
    writeFileSync(join(folder, name), content)
  }
  return folder
}

interface Surroundings {
  readonly files?: Readonly<Record<string, string>>
  readonly environment?: Readonly<Record<string, string>>
}

export function load(text: string, { files = {}, environment = {} }: Surroundings = {}): Promise<Config> {
  return loadConfig(join(folderWith({ ...files, 'postern.yaml': text }), 'postern.yaml'), environment)
}

/** The error that a text is refused with. */
export async function refusal(text: string, surroundings: Surroundings = {}): Promise<ConfigError> {
  const outcome = await load(text, surroundings).catch((error: unknown) => error)
  if (outcome instanceof ConfigError) return outcome
  throw new Error(`not refused: ${outcome instanceof Error ? outcome.stack : JSON.stringify(outcome)}`)
}

/** Each problem, behind the piece of the text that it points at: `acept: › listen[0].acept: unknown key; …`. */
export async function problems(text: string, surroundings: Surroundings = {}): Promise<string[]> {
  const error = await refusal(text, surroundings)
  const sentences = error.message.split('\n').map((line) => line.replace(/^.*?postern\.yaml:\d+:\d+: /, ''))
  return error.problems.map(({ line, column }, index) => {
    const rest = text.split('\n')[line - 1]?.slice(column - 1) ?? ''
    const piece = /^"[^"]*"|^[^\s,{}[\]]+|^./.exec(rest)?.[0] ?? ''
    return `${piece} › ${sentences[index]}`
  })
}

/** The good one, with a piece of its text replaced. */
export function changed(from: string, to: string): string {
  if (!good.includes(from)) throw new Error(`not in the good configuration: ${from}`)
  return good.replace(from, to)
}
