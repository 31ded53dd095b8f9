// Leaves what agents must trust where they find it, for a proxy that does not start them itself.
import { chmod, mkdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { beyondConstraints } from '../../certs/host-constraints.ts'
import { keptKey } from '../../certs/kept-key.ts'
import { PodAuthority } from '../../certs/pod-authority.ts'
import { writeTrustFiles } from '../../certs/trust-files.ts'
import type { Config } from '../../proxy/config/schema.ts'
import { doorHost } from '../../proxy/door/door.ts'
import type { House } from './house.ts'

/**
 * The authority whose leaves the agents see.
 * @throws KeptKeyError when others could have read or replaced the key, or the folder is not in memory
 */
export async function openAuthority(config: Config, { now, log }: House): Promise<PodAuthority> {
  const { trust } = config
  const constraints = trust?.constrain === true ? { hosts: certifiedHosts(config) } : {}
  if (trust?.key === undefined) return new PodAuthority({ now, ...constraints })
  const { key, isNew } = await keptKey(trust.key)
  const file = trust.key
  log.info({ file }, isNew ? 'the key of the authority is new' : 'the key of the authority is that of before')
  return new PodAuthority({ now, key, ...constraints })
}

/** @throws where agents would not trust the authority of the start for a host of the next configuration */
export function expectConstrained(first: Config, next: Config): void {
  if (first.trust?.constrain !== true) return
  const [host] = beyondConstraints(certifiedHosts(next), certifiedHosts(first))
  if (host !== undefined)
    throw new Error(`trust.constrain: agents hold an authority that is not for ${host}; a new start makes another`)
}

/** The hosts whose TLS is ended here. */
function certifiedHosts({ destinations }: Config): readonly string[] {
  const ended = Object.values(destinations).filter(({ protocol }) => protocol === 'https')
  return [...new Set([doorHost, ...ended.flatMap(({ hosts }) => hosts)])]
}

/**
 * Replaces `<directory>/trust`. The files stay when the proxy ends: an agent may still have them open, and without the
 * key they are worth nothing.
 * @throws when the folder cannot be written
 */
export async function leaveTrust(
  directory: string,
  caPem: string,
  inherited: Readonly<Record<string, string | undefined>>,
): Promise<void> {
  await mkdir(directory, { recursive: true, mode: 0o755 })
  await rm(join(directory, 'trust'), { recursive: true, force: true })
  const { environment } = await writeTrustFiles({ directory, caPem, inherited })
  const folder = join(directory, 'trust')
  await Promise.all([folder, join(folder, 'hashed')].map((each) => chmod(each, 0o755)))
  const lines = Object.entries(environment).map(([name, value]) => `${name}=${quoted(value)}\n`)
  await writeFile(join(folder, 'agent.env'), lines.join(''), { mode: 0o644 })
}

/** For a shell, and for systemd's EnvironmentFile alike. */
function quoted(value: string): string {
  return /^[\w./:@=,+-]*$/.test(value) ? value : `'${value.replaceAll("'", `'\\''`)}'`
}
