// Two network namespaces joined by a cable: the pod, and the outside world on its own addresses. They end with the processes that hold them.
import { type ChildProcessWithoutNullStreams, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { addresses } from './addresses.ts'

export interface Namespaces extends AsyncDisposable {
  /** What stands before a command that is to run there. */
  readonly inPod: readonly string[]
  readonly outside: readonly string[]
}

/** Why there can be none here; undefined where there can. */
export function whyNot(): string | undefined {
  if (process.platform !== 'linux') return 'network namespaces are Linux only'
  if (process.getuid?.() !== 0) return 'needs root'
  for (const [program, of] of [
    ['nft', 'nftables'],
    ['ip', 'iproute2'],
    ['unshare', 'util-linux'],
    ['nsenter', 'util-linux'],
    ['setpriv', 'util-linux'],
    ['curl', 'curl'],
  ] as const) {
    if (spawnSync(program, ['--version']).error !== undefined && spawnSync(program, ['-V']).error !== undefined)
      return `${program} is missing; install ${of}`
  }
  const tried = spawnSync('unshare', ['-n', 'nft', 'add', 'table', 'inet', 'try'], { encoding: 'utf8' })
  return tried.status === 0 ? undefined : `no network namespace with nftables can be made: ${tried.stderr.trim()}`
}

/** @throws what a command said that failed */
export function run(command: readonly string[]): string {
  const [program = '', ...argv] = command
  const { status, stdout, stderr, error } = spawnSync(program, argv, { encoding: 'utf8', timeout: 20_000 })
  if (status !== 0) throw new Error(`${command.join(' ')}: ${error?.message ?? stderr}`)
  return stdout
}

async function namespace(): Promise<ChildProcessWithoutNullStreams> {
  const holder = spawn('unshare', ['-n', 'sh', '-c', 'echo made; exec cat'])
  await once(holder.stdout, 'data')
  return holder
}

export async function namespaces(): Promise<Namespaces> {
  const [pod, world] = await Promise.all([namespace(), namespace()])
  const within = ({ pid }: ChildProcessWithoutNullStreams) => ['nsenter', '-t', String(pid), '-n']
  const inPod = within(pod)
  const outside = within(world)
  const { gateway, gateway6, pod: here, pod6: here6 } = addresses
  const sh = (where: readonly string[], script: string) => run([...where, 'sh', '-ec', script])
  sh(outside, `ip link add cable type veth peer name eth0 netns ${pod.pid}`)
  sh(
    outside,
    `ip link set lo up; ip addr add ${gateway}/24 dev cable; ip -6 addr add ${gateway6}/64 dev cable nodad; ip link set cable up
    for each in ${addresses.api} ${addresses.mail} ${addresses.evil} ${addresses.metadata}; do ip addr add $each/32 dev lo; done
    for each in ${addresses.api6} ${addresses.evil6} ${addresses.metadata6}; do ip -6 addr add $each/128 dev lo nodad; done`,
  )
  sh(
    inPod,
    `ip link set lo up; ip addr add ${here}/24 dev eth0; ip -6 addr add ${here6}/64 dev eth0 nodad; ip link set eth0 up
    ip route add default via ${gateway}; ip -6 route add default via ${gateway6}`,
  )
  return {
    inPod,
    outside,
    async [Symbol.asyncDispose]() {
      for (const holder of [pod, world]) {
        holder.kill('SIGKILL')
        await once(holder, 'close')
      }
    },
  }
}
