// The options that say what is stopped; the same for `kill` and `revive`.
import type { Command } from 'commander'
import { type Stopped, stoppedSchema } from '../../policy/stop/stop.ts'
import { CommandError, exit } from '../exit.ts'

export interface Selected {
  readonly agent?: string
  readonly user?: string
  readonly txn?: string
  readonly delegation?: string
  readonly credential?: string
  readonly destination?: string
  readonly all?: true
}

export function withSelectors(command: Command): Command {
  return command
    .option('--agent <id>', 'a SPIFFE ID, or a prefix ending in /* for everything below it')
    .option('--user <id>', 'a user, whichever agent acts for him')
    .option('--txn <id>', 'a transaction')
    .option('--delegation <jti>', 'a delegation, with all that were made from it')
    .option('--credential <name>', 'a credential, by its name in the configuration')
    .option('--destination <name>', 'a destination, by its name in the configuration')
    .option('--all', 'everything')
}

/** @throws CommandError when it is not exactly one thing */
export function selected({ agent, user, txn, delegation, credential, destination, all }: Selected): Stopped {
  const named = [
    agent === undefined ? undefined : { kind: 'agent', id: agent },
    user === undefined ? undefined : { kind: 'user', id: user },
    txn === undefined ? undefined : { kind: 'txn', id: txn },
    delegation === undefined ? undefined : { kind: 'delegation', jti: delegation },
    credential === undefined ? undefined : { kind: 'credential', name: credential },
    destination === undefined ? undefined : { kind: 'destination', name: destination },
    all === undefined ? undefined : { kind: 'all' },
  ].filter((each) => each !== undefined)
  const [what, ...others] = named
  if (what === undefined || others.length > 0) {
    throw new CommandError(
      exit.usage,
      'Say one thing: --agent, --user, --txn, --delegation, --credential, --destination or --all.',
    )
  }
  const read = stoppedSchema.safeParse(what)
  if (read.success) return read.data
  throw new CommandError(exit.usage, `--${what.kind}: ${read.error.issues[0]?.message ?? 'not in the right form'}`)
}
