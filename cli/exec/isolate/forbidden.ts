// Which setting of the kernel keeps users from making namespaces; the programs that fail by it do not say.
import { readFileSync } from 'node:fs'

/** Below /proc/sys, with the value that forbids. The second is of Debian's kernels. */
const forbidding = [
  ['kernel/apparmor_restrict_unprivileged_userns', '1'],
  ['kernel/unprivileged_userns_clone', '0'],
  ['user/max_user_namespaces', '0'],
  ['user/max_net_namespaces', '0'],
] as const

/** Such as `user.max_user_namespaces is 0`; undefined where there is none. */
export function forbiddenBy(root = '/proc/sys'): string | undefined {
  const found = forbidding.find(([path, value]) => settingOf(`${root}/${path}`) === value)
  return found && `${found[0].replace('/', '.')} is ${found[1]}`
}

function settingOf(path: string): string | undefined {
  try {
    return readFileSync(path, 'latin1').trim()
  } catch {
    return undefined
  }
}
