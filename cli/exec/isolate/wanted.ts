// Whether the command gets a room of its own: what was asked for, what can be had, and what is said about it.
import { Option } from 'commander'
import { CommandError, exit } from '../../exit.ts'
import { type CommandsRoom, openRoom } from './room.ts'

const choices = ['auto', 'require', 'off'] as const

export type Isolate = (typeof choices)[number]

export const isolateOption = (): Option =>
  new Option('--isolate <how>', 'keep the command in a network namespace that ends at the proxy (Linux, not as root)')
    .choices(choices)
    .default('off')

/**
 * @param path the variable PATH
 * @param reaper pid of the process that inherits the command's orphans
 * @returns no room: the command is led by its environment alone; and what is to be said of it
 * @throws CommandError where it is required and cannot be had
 */
export async function roomFor(
  isolate: Isolate,
  path: string,
  reaper: number | undefined,
): Promise<{ readonly room?: CommandsRoom; readonly sentence?: string }> {
  if (isolate === 'off') return {}
  try {
    const room = await openRoom(path, reaper)
    if (isolate === 'require') return { room }
    return { room, sentence: 'isolated: whatever the command sends comes to the proxy, or nowhere.' }
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error)
    if (isolate === 'require') throw new CommandError(exit.unavailable, `isolation_unavailable: ${why}.`)
    return { sentence: `not isolated, so that programs that ignore the proxy variables are not captured: ${why}.` }
  }
}
