// Whether the wall stands: the rules as they were installed, and each known way past them tried.
import { readFile } from 'node:fs/promises'
import { hasIpv6, tryEscapes, tryResolver, type Way } from '../../deploy/redirect/escapes.ts'
import { type SocketWay, trySockets } from '../../deploy/redirect/socket-attempts.ts'
import { native } from '../../proxy/identify/kernel/native.ts'
import { type Check, type Finding, green, red, skipped } from './check.ts'
import { notWalled, type Scene } from './scene.ts'

const reinstall =
  'Run `postern capture install` again in this network namespace, and find out who changed the rules; `postern capture status` shows the difference.'

interface Tried {
  readonly name: string
  readonly held: boolean
  readonly got: string
}

export const captureChecks: readonly Check[] = [
  {
    name: 'capture-rules',
    proves: 'the rules in the kernel are those that were installed',
    patience: 5_000,
    run: rulesInForce,
  },
  wayOut('escape-tcp', 'TCP to an address, whatever the port, gets to the proxy or nowhere', 'tcp'),
  wayOut('escape-udp', 'UDP gets nowhere', 'udp'),
  wayOut('escape-quic', 'QUIC (UDP to port 443) gets nowhere', 'quic'),
  wayOut('escape-metadata', 'the metadata addresses of clouds cannot be reached', 'metadata'),
  {
    name: 'escape-dns',
    proves: 'DNS, to the resolver of the pod or any other, is answered by the proxy alone',
    patience: 8_000,
    run: async (scene) => notWalledOr(scene, async () => judge(await overDns(scene))),
  },
  wayOut('escape-dns-tcp', 'DNS over TCP to a server elsewhere is answered by the proxy alone', 'dns-tcp'),
  {
    name: 'escape-ipv6',
    proves: 'none of these ways is open over IPv6',
    patience: 8_000,
    run: (scene) =>
      hasIpv6() ? overNetwork(scene, 'ipv6') : skipped('there is no IPv6 address here that anything could leave from'),
  },
  sockets('escape-raw-socket', 'the kernel gives out no raw socket', 'raw-socket'),
  sockets('escape-packet-socket', 'the kernel gives out no packet socket, which no rule would see', 'packet-socket'),
  sockets('escape-other-protocols', 'ping and UDP-Lite get nowhere', 'other-protocols'),
]

function rulesInForce({ rules, mode }: Scene): Finding {
  if (typeof rules === 'string') return skipped(rules)
  if (rules.rules === 'in force') {
    return green(`The rules of ${rules.program} are as installed: only user ${rules.plan?.uid} is exempt.`)
  }
  if (rules.rules === 'none') {
    return mode === 'transparent'
      ? red('There are no rules of Postern in this network namespace.', reinstall)
      : skipped('there are no rules, and nothing here depends on them')
  }
  return red(`The rules of ${rules.program} were changed: ${rules.changes.length} lines differ.`, reinstall)
}

function wayOut(name: string, proves: string, way: Way): Check {
  return { name, proves, patience: 8_000, run: (scene) => overNetwork(scene, way) }
}

function overNetwork(scene: Scene, way: Way): Finding | Promise<Finding> {
  return notWalledOr(scene, async () => judge(await tryEscapes(answersDns(scene), [way])))
}

async function overDns(scene: Scene): Promise<Tried[]> {
  const server = await resolver()
  const asked = server === undefined || !answersDns(scene) ? [] : [tryResolver(server)]
  const [elsewhere, ...own] = await Promise.all([tryEscapes(answersDns(scene), ['dns-udp']), ...asked])
  return [...elsewhere, ...own.map((each) => ({ name: 'the resolver of resolv.conf', ...each }))]
}

/** Where the rules cannot be read, DNS counts as answered: an attempt that is rejected has failed all the same. */
const answersDns = ({ rules }: Scene) =>
  typeof rules === 'string' || rules.plan === undefined || rules.plan.dnsPort !== undefined

async function resolver(): Promise<string | undefined> {
  const text = await readFile('/etc/resolv.conf', 'utf8').catch(() => '')
  return /^\s*nameserver\s+([0-9a-f.:]+)/im.exec(text)?.[1]
}

function sockets(name: string, proves: string, way: SocketWay): Check {
  return {
    name,
    proves,
    patience: 5_000,
    run: (scene) => {
      const calls = native()
      if ('missing' in calls) return skipped(`such a socket cannot be asked for: ${calls.missing}`)
      const run = () =>
        judge(
          trySockets(calls, way),
          'Take the capabilities from the agent: `capabilities: { drop: [ALL] }`, and neither privileged nor root.',
        )
      return notWalledOr(scene, run)
    },
  }
}

function notWalledOr<T>(scene: Scene, run: () => T): T | Finding {
  const why = notWalled(scene)
  return why === undefined ? run() : skipped(why)
}

function judge(tried: readonly Tried[], todo = reinstall): Finding {
  const open = tried.filter(({ held }) => !held)
  if (open.length === 0) return green(`${sentence(tried)}.`)
  return red(`There is a way out: ${sentence(open)}.`, todo)
}

const sentence = (tried: readonly Tried[]) => tried.map(({ name, got }) => `${name}: ${got}`).join('; ')
