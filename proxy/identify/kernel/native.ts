// The few calls into the C library that Node does not offer, by node:ffi; where they cannot be had, the reason why.
import { Buffer } from 'node:buffer'
import { closeSync } from 'node:fs'
import { endianness } from 'node:os'

/** Pid, uid and gid of the process at the other end of a UNIX socket, as they were when it connected. */
export interface PeerCredentials {
  readonly pid: number
  readonly uid: number
  readonly gid: number
}

export interface Native {
  /** SO_PEERCRED (unix(7)) of an open file descriptor. */
  peerCredentials(fd: number): PeerCredentials | undefined
  /** Where a connection was going before netfilter redirected it (SO_ORIGINAL_DST, IP6T_SO_ORIGINAL_DST): 4 or 16 bytes and the port. */
  originalDestination(fd: number, family: 4 | 6): { readonly address: Uint8Array; readonly port: number } | undefined
  /**
   * Sends one message to the kernel's socket diagnosis (sock_diag(7)) and returns its answer, valid until the next call.
   * The kernel answers inside the send, so nothing waits.
   * @param over descriptor of the socket to send it through; unless told, one of this network namespace
   */
  socketDiagnosis(request: Uint8Array, over?: number): Uint8Array | undefined
  /** Opens such a socket, which goes on speaking of the network namespace that this process is in now. */
  openDiagnosis(): number | undefined
  /** A descriptor of ours for what another process has open (pidfd_getfd(2)): needs the right to trace it. */
  takeDescriptor(pid: number, descriptor: number): number | undefined
  /** Closes this process's memory, environment and descriptors to others of the same user (PR_SET_DUMPABLE, prctl(2)). */
  becomeUndumpable(): boolean
  /** Makes this process the parent of descendants that lose theirs (PR_SET_CHILD_SUBREAPER, prctl(2)). */
  becomeSubreaper(): boolean
  /** Takes the exit status of a dead child that nobody waits for (waitpid(2)). */
  reap(pid: number): boolean
  /** Waits until what was written to a descriptor is on the disk (fsync(2)), and everything else with it. False when it is not. */
  sync(fd: number): boolean
  /** Overwrites with zeros a variable’s value where the kernel shows it as /proc/<pid>/environ; it reads as empty from then on. False when there is no such variable. */
  blankVariable(name: string): boolean
  /**
   * Opens a socket (socket(2)), sends through it where it is told to, and closes it again.
   * @param send a socket address as the kernel has it, and what to send there
   */
  trySocket(
    family: number,
    type: number,
    protocol: number,
    send?: { readonly to: Uint8Array; readonly bytes: Uint8Array },
  ): 'no socket' | 'opened' | 'not sent' | 'sent'
}

export interface NativeMissing {
  readonly missing: string
}

const littleEndian = endianness() === 'LE'
const SOL_SOCKET = 1
const SO_PEERCRED = 17
const SOL_IP = 0
const SOL_IPV6 = 41
/** SO_ORIGINAL_DST and IP6T_SO_ORIGINAL_DST alike (linux/netfilter_ipv4.h, ip6_tables.h). */
const ORIGINAL_DST = 80
const PR_SET_DUMPABLE = 4
const PR_SET_CHILD_SUBREAPER = 36
const AF_NETLINK = 16
const SOCK_RAW = 3
/** Commands that we start must not inherit the socket. */
const SOCK_CLOEXEC = 0o2000000
const NETLINK_SOCK_DIAG = 4
/** System calls that have the same number on every architecture. */
const PIDFD_OPEN = 434n
const PIDFD_GETFD = 438n
const MSG_DONTWAIT = 0x40
const WNOHANG = 1

const signatures = {
  getsockopt: { return: 'int32', arguments: ['int32', 'int32', 'int32', 'buffer', 'buffer'] },
  socket: { return: 'int32', arguments: ['int32', 'int32', 'int32'] },
  send: { return: 'int64', arguments: ['int32', 'buffer', 'uint64', 'int32'] },
  sendto: { return: 'int64', arguments: ['int32', 'buffer', 'uint64', 'int32', 'buffer', 'uint32'] },
  close: { return: 'int32', arguments: ['int32'] },
  recv: { return: 'int64', arguments: ['int32', 'buffer', 'uint64', 'int32'] },
  prctl: { return: 'int32', arguments: ['int32', 'uint64', 'uint64', 'uint64', 'uint64'] },
  waitpid: { return: 'int32', arguments: ['int32', 'buffer', 'int32'] },
  syscall: { return: 'int64', arguments: ['int64', 'int64', 'int64', 'int64'] },
  fsync: { return: 'int32', arguments: ['int32'] },
  getenv: { return: 'pointer', arguments: ['string'] },
} as const

let loaded: Native | NativeMissing | undefined

/** Loads the C library once. Never throws: without it Postern works, with fewer proofs. */
export function native(): Native | NativeMissing {
  loaded ??= load()
  return loaded
}

/** The calls, or undefined where they cannot be had. */
export function nativeCalls(): Native | undefined {
  const found = native()
  return 'missing' in found ? undefined : found
}

function load(): Native | NativeMissing {
  if (process.platform !== 'linux') return { missing: `not known for ${process.platform}, Linux only` }
  const ffi = process.getBuiltinModule('node:ffi')
  if (ffi === undefined) return { missing: `Node.js ${process.version} has no node:ffi, which comes with 26.9` }
  try {
    // null: the symbols of this process, among them the C library's, whichever it is (glibc, musl).
    return bind(ffi, ffi.dlopen(null, signatures).functions)
  } catch (error) {
    return { missing: error instanceof Error ? error.message : String(error) }
  }
}

type Ffi = typeof import('node:ffi')
type Calls = ReturnType<typeof import('node:ffi').dlopen<typeof signatures>>['functions']

function bind(ffi: Ffi, libc: Calls): Native {
  const credentials = Buffer.alloc(12)
  const length = Buffer.alloc(4)
  const lengthView = new DataView(length.buffer, length.byteOffset, 4)
  const credentialsView = new DataView(credentials.buffer, credentials.byteOffset, 12)
  const place = Buffer.alloc(28)
  const answer = Buffer.alloc(4096)
  const status = Buffer.alloc(4)
  let diagnosis = -1
  const openDiagnosis = () => libc.socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG)

  return {
    peerCredentials(fd) {
      lengthView.setUint32(0, credentials.length, littleEndian)
      if (libc.getsockopt(fd, SOL_SOCKET, SO_PEERCRED, credentials, length) !== 0) return undefined
      const peer = {
        pid: credentialsView.getInt32(0, littleEndian),
        uid: credentialsView.getUint32(4, littleEndian),
        gid: credentialsView.getUint32(8, littleEndian),
      }
      // A TCP socket answers pid 0, uid -1: nothing is known.
      return peer.uid === 0xffffffff ? undefined : peer
    },
    originalDestination(fd, family) {
      // sockaddr_in is 16 bytes, sockaddr_in6 28; in both the port stands at 2, in network order.
      lengthView.setUint32(0, family === 4 ? 16 : place.length, littleEndian)
      if (libc.getsockopt(fd, family === 4 ? SOL_IP : SOL_IPV6, ORIGINAL_DST, place, length) !== 0) return undefined
      const address = family === 4 ? place.subarray(4, 8) : place.subarray(8, 24)
      return { address: Uint8Array.from(address), port: place.readUInt16BE(2) }
    },
    socketDiagnosis(request, over) {
      if (over === undefined && diagnosis === -1) diagnosis = openDiagnosis()
      const fd = over ?? diagnosis
      if (fd === -1) return undefined
      if (libc.send(fd, request, BigInt(request.length), 0) !== BigInt(request.length)) return undefined
      const received = Number(libc.recv(fd, answer, BigInt(answer.length), MSG_DONTWAIT))
      return received > 0 ? answer.subarray(0, received) : undefined
    },
    openDiagnosis() {
      const fd = openDiagnosis()
      return fd === -1 ? undefined : fd
    },
    takeDescriptor(pid, descriptor) {
      const process = libc.syscall(PIDFD_OPEN, BigInt(pid), 0n, 0n)
      if (process < 0n) return undefined
      const taken = libc.syscall(PIDFD_GETFD, process, BigInt(descriptor), 0n)
      closeSync(Number(process))
      return taken < 0n ? undefined : Number(taken)
    },
    becomeUndumpable: () => libc.prctl(PR_SET_DUMPABLE, 0n, 0n, 0n, 0n) === 0,
    becomeSubreaper: () => libc.prctl(PR_SET_CHILD_SUBREAPER, 1n, 0n, 0n, 0n) === 0,
    reap: (pid) => libc.waitpid(pid, status, WNOHANG) === pid,
    sync: (fd) => libc.fsync(fd) === 0,
    blankVariable(name) {
      const value = libc.getenv(name)
      if (value === 0n) return false
      for (let at = 0; ffi.getUint8(value, at) !== 0; at += 1) ffi.setUint8(value, at, 0)
      return true
    },
    trySocket(family, type, protocol, send) {
      const fd = libc.socket(family, type | SOCK_CLOEXEC, protocol)
      if (fd === -1) return 'no socket'
      try {
        if (send === undefined) return 'opened'
        const { to, bytes } = send
        const sent = libc.sendto(fd, bytes, BigInt(bytes.length), MSG_DONTWAIT, to, to.length)
        return sent === BigInt(bytes.length) ? 'sent' : 'not sent'
      } finally {
        libc.close(fd)
      }
    },
  }
}
