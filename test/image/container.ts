// Starts an image as an engine would: namespaces of its own, a root that cannot be written, what is mounted and nothing else.
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import type { Image } from './layout.ts'

export interface Container {
  readonly image: Image
  /** What is mounted, by where; a folder or a file of this machine. */
  readonly mounts?: Readonly<Record<string, string>>
  /** A process whose network it shares; that of the tests without it. */
  readonly network?: number
  /** Capabilities that it keeps, as `net_admin`; none without. */
  readonly capabilities?: readonly string[]
}

export interface Ran {
  readonly code: number | null
  readonly out: string
  readonly errors: string
}

const script = `
root=$1 mounts=$2
shift 2
mount --bind "$root" "$root"
mount -t proc proc "$root/proc"
mount -t tmpfs -o mode=755,size=64k dev "$root/dev"
for device in null zero random urandom; do : >"$root/dev/$device"; mount --bind "/dev/$device" "$root/dev/$device"; done
while read -r from to; do mount --bind "$from" "$root$to"; done <"$mounts"
mount -o remount,bind,ro "$root"
exec "$@"
`

/** Makes what an engine makes before it closes the root: places for what is mounted. */
async function prepared({ image, mounts = {} }: Container): Promise<string> {
  for (const to of Object.keys(mounts)) {
    if (to === '/etc/hosts') await writeFile(join(image.root, to), '')
    else await mkdir(join(image.root, to), { recursive: true })
  }
  const list = `${image.root}.mounts`
  await writeFile(
    list,
    Object.entries(mounts)
      .map(([to, from]) => `${from} ${to}\n`)
      .join(''),
  )
  return list
}

/** Starts a program of the image; without one, what the image itself says. */
export async function start(container: Container, args?: readonly string[]): Promise<ChildProcessWithoutNullStreams> {
  const { image, network, capabilities = [] } = container
  const { User = '', Env = [], Entrypoint = [], Cmd = [] } = image.config
  const list = await prepared(container)
  // Root of a container has what it is given; everybody else nothing. The kernel needs SYS_CHROOT for what follows.
  const kept = ['-all', ...capabilities.map((name) => `+${name}`), '+sys_chroot'].join(',')
  const user = User.startsWith('0:') ? [] : [`--userspec=${User}`, '--groups=']
  const rights = [
    'setpriv',
    '--no-new-privs',
    '--inh-caps=-all',
    ...(user.length > 0 ? [] : [`--bounding-set=${kept}`]),
  ]
  const [file = '', ...argv] = [
    ...(network === undefined ? [] : ['nsenter', '-t', String(network), '-n']),
    ...['unshare', '--mount', '--pid', '--ipc', '--uts', '--fork', '--kill-child', 'sh', '-euc', script, 'sh'],
    ...[image.root, list, ...rights, 'chroot', ...user, image.root, ...Entrypoint, ...(args ?? Cmd)],
  ]
  const environment = Object.fromEntries(Env.map((each) => each.split(/=(.*)/s) as [string, string]))
  // What starts it is found by the path of this machine, what it finds itself by its own.
  const env = { ...environment, PATH: `${environment.PATH}:${process.env.PATH}` }
  return spawn(file, argv, { env, cwd: '/' })
}

/** Runs it to its end. */
export async function run(container: Container, args?: readonly string[]): Promise<Ran> {
  const child = await start(container, args)
  child.stdin.end()
  const [out, errors, [code]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')])
  return { code, out, errors }
}

/** The first process of a container that runs, as this machine numbers it. */
export function insideOf({ pid }: ChildProcessWithoutNullStreams): number {
  return Number(readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ')[0])
}
