// Whether the command gets a room of its own: what was asked for, what can be had, and what is said about it.
import { Option } from 'commander'
import { CommandError, exit } from '../../exit.ts'
import { type CommandsRoom, openRoom } from './room.ts'

const choices = ['auto', 'require', 'off'] as const

export type Isolate = (typeof choices)[number]

export const isolateOption = (): Option =>
  new Option('--isolate <how>', 'wall the command in: its network ends at the proxy (Linux, not as root)')
    .choices(choices)
    .default('auto')

interface Wanted {
  readonly isolate: Isolate
  /** Ports of the machine's loopback that the command reaches in any case. */
  readonly localhost: readonly number[]
}

/**
 * @param path the variable PATH
 * @param reaper pid of the process that inherits the command's orphans
 * @returns no room: the command is led by its environment alone; and, where nobody asked for one or the other, which it is
 * @throws CommandError where it is required and cannot be had
 */
export async function roomFor(
  { isolate, localhost }: Wanted,
  path: string,
  reaper: number | undefined,
): Promise<{ readonly room?: CommandsRoom; readonly sentence?: string }> {
  if (isolate === 'off') return {}
  try {
    const room = await openRoom(path, reaper, localhost)
    // What was given is told also where the rest goes without saying.
    const known = isolate === 'require' && localhost.length === 0
    return known ? { room } : { room, sentence: wallIn(localhost) }
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error)
    if (isolate === 'require') throw new CommandError(exit.unavailable, `isolation_unavailable: ${why}.`)
    return {
      sentence: `not walled in: ${why}; what ignores the proxy variables reaches the network, without credentials.`,
    }
  }
}

function wallIn(localhost: readonly number[]): string {
  const ports = localhost.length === 0 ? '' : `, but for port ${localhost.join(', ')}`
  return `walled in: all that the command sends comes to the proxy; localhost is its own${ports} (--localhost PORT, --isolate=off).`
}
