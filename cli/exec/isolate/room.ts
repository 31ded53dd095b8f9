// A user and network namespace for one command, made without root: its network ends at our sockets in it, wherever the command connects to.
import { type ChildProcess, spawn } from 'node:child_process'
import type { Socket as DatagramSocket } from 'node:dgram'
import { closeSync, existsSync } from 'node:fs'
import type { Server } from 'node:net'
import { fileURLToPath } from 'node:url'
import { kernelFacts } from '../../../proxy/identify/kernel/facts.ts'
import { native, nativeCalls } from '../../../proxy/identify/kernel/native.ts'
import type { Room } from '../../wire/room.ts'
import { execListener, redirectedListener, redirectedListenerV6 } from '../settings.ts'
import { forbiddenBy } from './forbidden.ts'
import type { Purpose, Word } from './handing-over.ts'
import { forwardToMachine } from './localhost.ts'
import { neededPrograms } from './programs.ts'
import { isOwn } from './wall.ts'

/** Milliseconds. */
const patience = 15_000

/** What we run, and the packages that bring it. */
const packages = {
  unshare: 'util-linux',
  nsenter: 'util-linux',
  setpriv: 'util-linux',
  ip: 'iproute2',
  nft: 'nftables',
} as const

export interface CommandsRoom extends Room {
  /** What stands before a command that is to run in it, without capabilities and with no way to get one. */
  readonly enter: readonly string[]
  close(): void
}

/** The same file, as source or beside the bundle. */
function insideProgram(): string {
  const source = fileURLToPath(new URL('./inside.ts', import.meta.url))
  return existsSync(source) ? source : fileURLToPath(new URL('./inside.js', import.meta.url))
}

/** Why it is not even tried. */
function whyNot(): string | undefined {
  if (process.platform !== 'linux') return `${process.platform} has no network namespaces`
  const found = native()
  if ('missing' in found) return `redirected connections need a call into the kernel: ${found.missing}`
  // Without any capability root still owns files by which the kernel can be told to run programs, such as core_pattern.
  if (process.getuid?.() === 0) return 'root gets out by what it owns; start it as another user'
  return undefined
}

/**
 * @param path the variable PATH
 * @param reaper pid of the process that inherits the command's orphans
 * @param localhost ports of its loopback that lead to those of the machine's
 * @throws Error that says why there can be none here
 */
export async function openRoom(
  path: string,
  reaper: number | undefined,
  localhost: readonly number[],
): Promise<CommandsRoom> {
  const reason = whyNot()
  if (reason !== undefined) throw new Error(reason)
  const programs = neededPrograms(packages, path)
  const { unshare, nsenter, setpriv, ip, nft } = programs
  // When all is handed over, what keeps the namespaces until we close our end, or die, has no capability either.
  const script = `"$@" || exit; exec ${setpriv} --ambient-caps=-all --inh-caps=-all cat 3<&-`
  const node = [
    process.execPath,
    '--disable-warning=ExperimentalWarning',
    insideProgram(),
    ip,
    nft,
    ...localhost.map(String),
  ]
  const spaces = ['--user', '--map-current-user', '--keep-caps', '--net']
  const holder = spawn(unshare, [...spaces, '--', '/bin/sh', '-c', script, 'sh', ...node], {
    // Secrets are none of its business.
    env: { PATH: path },
    stdio: ['pipe', 'ignore', 'pipe', 'ipc'],
    // Signals of the terminal are for the command.
    detached: true,
  })
  const { sockets, localhost: forwarding, diagnosis } = await handedOver(holder)
  holder.unref()
  const { pid } = holder
  return {
    ...ofPurposes(sockets),
    isOwn,
    facts: kernelFacts(reaper, { diagnosis, pid: () => pid }),
    enter: [
      ...[nsenter, '--target', String(pid), '--user', '--net', '--preserve-credentials', '--'],
      ...[setpriv, '--no-new-privs', '--inh-caps=-all', '--'],
    ],
    close() {
      holder.stdin?.destroy()
      for (const server of forwarding) server.close()
      if (diagnosis !== undefined) closeSync(diagnosis)
    },
  }
}

interface HandedOver {
  readonly sockets: ReadonlyMap<Purpose, Server | DatagramSocket>
  readonly localhost: readonly Server[]
  readonly diagnosis: number | undefined
}

/** @throws Error with what went wrong in there, in the words of whatever failed */
function handedOver(holder: ChildProcess): Promise<HandedOver> {
  const sockets = new Map<Purpose, Server | DatagramSocket>()
  const localhost: Server[] = []
  let said = ''
  holder.stderr?.on('data', (text) => {
    said += text
  })
  return new Promise((resolve, reject) => {
    const fail = (why: string) => {
      clearTimeout(timer)
      holder.kill('SIGKILL')
      for (const socket of [...sockets.values(), ...localhost]) socket.close()
      const setting = forbiddenBy()
      reject(new Error(setting === undefined ? why : `${why} (${setting})`))
    }
    const timer = setTimeout(() => fail('the namespace was not ready in time'), patience)
    holder.once('error', (error) => fail(error.message))
    holder.once('close', () => fail(said.trim().split('\n')[0] || 'the namespace ended before it was ready'))
    holder.on('message', (word: Word, socket: unknown) => {
      if ('problem' in word) return fail(word.problem)
      if ('socket' in word) return void sockets.set(word.socket, socket as Server | DatagramSocket)
      if ('localhost' in word) {
        localhost.push(socket as Server)
        return forwardToMachine(socket as Server, word.localhost)
      }
      const { diagnosis: theirs } = word
      const diagnosis = theirs === undefined ? undefined : nativeCalls()?.takeDescriptor(word.pid, theirs)
      holder.send({ taken: true }, () => holder.disconnect())
      clearTimeout(timer)
      holder.removeAllListeners('close')
      holder.stderr?.destroy()
      resolve({ sockets, localhost, diagnosis })
    })
  })
}

function ofPurposes(sockets: HandedOver['sockets']): Pick<Room, 'servers' | 'dns'> {
  const servers = new Map<string, Server>()
  const take = <Of extends Server | DatagramSocket>(purpose: Purpose) => sockets.get(purpose) as Of | undefined
  const listeners = [
    ['proxy', execListener],
    ['redirected4', redirectedListener],
    ['redirected6', redirectedListenerV6],
  ] as const
  for (const [purpose, { name }] of listeners) {
    const server = take<Server>(purpose)
    if (server !== undefined) servers.set(name, server)
  }
  const dns = (
    [
      ['datagrams4', 'streams4'],
      ['datagrams6', 'streams6'],
    ] as const
  ).flatMap(([udp, tcp]) => {
    const [datagrams, streams] = [take<DatagramSocket>(udp), take<Server>(tcp)]
    return datagrams === undefined || streams === undefined ? [] : [{ datagrams, streams }]
  })
  return { servers, dns }
}
