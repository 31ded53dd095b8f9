// Whom the command is taken for.
import type { SpiffeId } from '../../certs/spiffe-id.ts'
import { spiffeId } from '../../proxy/config/scalars.ts'
import { CommandError, exit } from '../exit.ts'

interface Named {
  readonly exec: { readonly agent?: SpiffeId | undefined }
  readonly rules: readonly { readonly allow?: { readonly agents?: readonly string[] | undefined } | undefined }[]
}

/**
 * What `--as` says, else the configuration's `exec.agent`, else the one agent that its rules name.
 * @throws CommandError when that leaves more or less than one
 */
export function commandsAgent(given: string | undefined, { exec, rules }: Named): SpiffeId {
  if (given !== undefined) return readId(given)
  if (exec.agent !== undefined) return exec.agent
  const named = new Set(rules.flatMap(({ allow }) => allow?.agents ?? []).filter((agent) => !agent.endsWith('/*')))
  const [only] = named
  if (only !== undefined && named.size === 1) return readId(only)
  const choice = named.size === 0 ? 'The rules name no agent.' : `The rules name these:\n  ${[...named].join('\n  ')}`
  throw new CommandError(
    exit.usage,
    `Say whom the command is to be taken for: --as SPIFFE_ID, or exec: { agent: … } in the configuration. ${choice}`,
  )
}

function readId(text: string): SpiffeId {
  const read = spiffeId.safeParse(text)
  if (read.success) return read.data
  throw new CommandError(exit.usage, `--as ${text}: ${read.error.issues[0]?.message ?? 'not a SPIFFE ID'}`)
}
