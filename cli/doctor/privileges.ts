// Whether the agent could take the wall down, or become the proxy.
import { spawnSync } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { type Check, type Finding, green, red, skipped } from './check.ts'
import { notAnAgent, notWalled, type Scene } from './scene.ts'

/** With what any of them can do; numbers of capabilities(7). */
const dangerous: Readonly<Record<number, string>> = {
  6: 'SETGID',
  7: 'SETUID',
  12: 'NET_ADMIN',
  13: 'NET_RAW',
  19: 'SYS_PTRACE',
  21: 'SYS_ADMIN',
  39: 'BPF',
}

const harden =
  'Give the agent’s container `allowPrivilegeEscalation: false`, `capabilities: { drop: [ALL] }` and a user of its own; the injector refuses pods without it.'

export const privilegeChecks: readonly Check[] = [
  {
    name: 'escape-other-user',
    proves: 'the agent cannot become the proxy’s user, who is exempt',
    patience: 5_000,
    run: (scene) => {
      const why = notWalled(scene)
      return why === undefined ? becomeAnother(scene) : skipped(why)
    },
  },
  {
    name: 'privileges',
    proves: 'the agent has no capability by which the wall could be taken down, and no way to get one',
    patience: 5_000,
    run: async (scene) => {
      const other = notAnAgent(scene)
      if (other !== undefined) return skipped(other)
      if (scene.borrowed) return skipped('they are those of whoever runs this; run it in the agent’s container')
      if (process.platform !== 'linux') return skipped('capabilities are Linux only')
      return judgePrivileges(await readFile('/proc/self/status', 'utf8'), scene.mode === 'transparent')
    },
  },
]

function becomeAnother({ uid, proxyUid }: Scene): Finding {
  if (uid === undefined) return skipped('there are no user ids here')
  const wanted = proxyUid ?? uid + 1
  const { error } = spawnSync(process.execPath, ['-e', '0'], { uid: wanted, stdio: 'ignore', timeout: 4_000, env: {} })
  const code = error === undefined ? undefined : (error as NodeJS.ErrnoException).code
  // EINVAL: a user namespace that has no such user (user_namespaces(7)).
  if (code === 'EPERM' || code === 'EINVAL') return green(`User ${uid} cannot become user ${wanted}: ${code}.`)
  if (code !== undefined) return skipped(`it could not be tried: ${code}`)
  return red(`User ${uid} became user ${wanted}, and could become any.`, harden)
}

/**
 * @param status text of /proc/self/status (proc_pid_status(5))
 * @param walled whether anything here depends on them
 */
export function judgePrivileges(status: string, walled: boolean): Finding {
  const held = [...new Set(['CapEff', 'CapPrm', 'CapInh', 'CapAmb'].flatMap((set) => named(status, set)))]
  const within = named(status, 'CapBnd')
  const locked = /^NoNewPrivs:\t1$/m.test(status)
  if (!/^CapEff:\t[0-9a-f]{16}$/m.test(status)) return skipped('the kernel does not say which capabilities there are')
  if (held.length > 0) return red(`The agent has the capabilities ${held.join(', ')}.`, harden)
  if (locked || within.length === 0) {
    return green(
      `No capability that matters${locked ? ', and none can be got (no_new_privs)' : ', nor any within bounds'}.`,
    )
  }
  return walled
    ? red(`No capability yet, but a setuid program can give ${within.join(', ')}: no_new_privs is not set.`, harden)
    : skipped('no capability; a setuid program can give some, which matters where connections are redirected')
}

function named(status: string, set: string): string[] {
  const hex = new RegExp(`^${set}:\\t([0-9a-f]{16})$`, 'm').exec(status)?.[1] ?? '0'
  const bits = BigInt(`0x${hex}`)
  return Object.entries(dangerous).flatMap(([bit, name]) => (((bits >> BigInt(bit)) & 1n) === 1n ? [name] : []))
}
