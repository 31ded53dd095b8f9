// What the commands on the policy share: finding it, and reading what they are asked.
import { parseSpiffeId } from '../../certs/spiffe-id.ts'
import type { Readers } from '../../policy/ask.ts'
import { type CompiledPolicy, compile } from '../../policy/compile.ts'
import { parseAbsoluteForm } from '../../proxy/capture/target.ts'
import { loadConfig } from '../../proxy/config/load.ts'
import { ConfigError } from '../../proxy/config/problems.ts'
import { CommandError, exit } from '../exit.ts'

export const exitCodes =
  'Exit codes: 0, 1 a case failed, 64 wrong usage, 65 a file of cases is wrong, 66 no such file, 78 wrong configuration.'

export const configOption = [
  '-c, --config <file>',
  'configuration (default: $POSTERN_CONFIG, or postern.yaml)',
] as const

/** Text is read as the proxy reads it, so that what it would refuse is refused here. */
export const readers: Readers = { id: parseSpiffeId, target: parseAbsoluteForm }

export async function loadPolicy(path: string): Promise<CompiledPolicy> {
  try {
    const { rules, destinations } = await loadConfig(path, process.env)
    return compile({ rules, destinations: Object.values(destinations) })
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    throw new CommandError(error.kind === 'unreadable' ? exit.noInput : exit.config, error.render().trimEnd())
  }
}

export const messageOf = (error: unknown) => (error instanceof Error ? error.message : String(error))
