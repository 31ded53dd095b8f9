// Turns a host into addresses: an IP literal is itself, a name that the configuration answers is answered from there, the rest from the system.
import { lookup } from 'node:dns/promises'
import { isIP } from 'node:net'
import { Refusal } from '../refusal.ts'

export type Resolve = (host: string) => Promise<readonly string[]>

/**
 * @param fixed names that the configuration answers itself, asked each time
 * @returns every address of the host, in the order in which the system prefers them
 * @throws Refusal `upstream_unresolved`
 */
export function createResolver(fixed: () => Readonly<Record<string, readonly string[]>>): Resolve {
  return async (host) => {
    if (isIP(host) !== 0) return [host]
    const table = fixed()
    const given = Object.hasOwn(table, host) ? table[host] : undefined
    if (given !== undefined) return given
    try {
      const answers = await lookup(host, { all: true, order: 'verbatim' })
      return answers.map(({ address }) => address)
    } catch (cause) {
      throw new Refusal('upstream_unresolved', {
        detail: `${host}: ${(cause as NodeJS.ErrnoException).code ?? 'no answer'}`,
        cause,
      })
    }
  }
}
