// Asks the kernel whose socket stands at one end of a TCP connection: the messages of sock_diag(7), written and read.
import { endianness } from 'node:os'
import { asV6, type TcpEnd, type TcpEnds } from './tcp-ends.ts'

/** Whose socket it is: the user that made it, and the number by which /proc/<pid>/fd names it. */
export interface SocketOwner {
  readonly uid: number
  readonly inode: number
}

const littleEndian = endianness() === 'LE'
const SOCK_DIAG_BY_FAMILY = 20
const NLM_F_REQUEST = 1
const AF_INET = 2
const AF_INET6 = 10
const IPPROTO_TCP = 6
const ALL_STATES = 0xffffffff
/** nlmsghdr, then inet_diag_req_v2 or inet_diag_msg. */
const HEADER = 16
const REQUEST = 72
const ANSWER = HEADER + 72
/** Where inet_diag_sockid begins in each of the two. */
const REQUEST_ID = HEADER + 8
const ANSWER_ID = HEADER + 4
const UID = HEADER + 64
const INODE = HEADER + 68

/** One question, for exactly these ends. `sequence` comes back in the answer. */
export function diagnosisRequest(ends: TcpEnds, sequence: number): Uint8Array {
  const message = new Uint8Array(REQUEST)
  const view = new DataView(message.buffer)
  view.setUint32(0, REQUEST, littleEndian)
  view.setUint16(4, SOCK_DIAG_BY_FAMILY, littleEndian)
  view.setUint16(6, NLM_F_REQUEST, littleEndian)
  view.setUint32(8, sequence, littleEndian)
  view.setUint8(HEADER, ends.local.address.length === 4 ? AF_INET : AF_INET6)
  view.setUint8(HEADER + 1, IPPROTO_TCP)
  view.setUint32(HEADER + 4, ALL_STATES, littleEndian)
  // Ports and addresses go in network order; the cookie of all ones says that we know none.
  writeEnd(message, view, 0, ends.local)
  writeEnd(message, view, 1, ends.remote)
  message.fill(0xff, REQUEST - 8)
  return message
}

function writeEnd(message: Uint8Array, view: DataView, which: 0 | 1, { address, port }: TcpEnd): void {
  view.setUint16(REQUEST_ID + 2 * which, port)
  message.set(address, REQUEST_ID + 4 + 16 * which)
}

/**
 * Reads the answer to the question of the same `sequence` about these ends. Undefined when there is no such socket, or
 * when no process holds it any more: a socket closed by its process lives on in the kernel with uid 0 and inode 0,
 * which must not be taken for root's.
 */
export function diagnosisAnswer(answer: Uint8Array, ends: TcpEnds, sequence: number): SocketOwner | undefined {
  if (answer.length < ANSWER) return undefined
  const view = new DataView(answer.buffer, answer.byteOffset, answer.length)
  if (view.getUint16(4, littleEndian) !== SOCK_DIAG_BY_FAMILY) return undefined
  if (view.getUint32(8, littleEndian) !== sequence) return undefined
  // Where no connection matches, the kernel answers with a listener on that port, whoever's it is.
  if (!isEnd(answer, view, 0, ends.local) || !isEnd(answer, view, 1, ends.remote)) return undefined
  const inode = view.getUint32(INODE, littleEndian)
  return inode === 0 ? undefined : { uid: view.getUint32(UID, littleEndian), inode }
}

/** A v6 socket that speaks v4 is found by its v4 addresses, and shown with mapped ones. */
function isEnd(answer: Uint8Array, view: DataView, which: 0 | 1, { address, port }: TcpEnd): boolean {
  if (view.getUint16(ANSWER_ID + 2 * which) !== port) return false
  const at = ANSWER_ID + 4 + 16 * which
  const shown = answer.subarray(at, at + 16)
  const expected = view.getUint8(HEADER) === AF_INET6 ? asV6(address) : asV4(address)
  return expected?.every((byte, index) => byte === shown[index]) === true
}

const asV4 = (address: Uint8Array): Uint8Array | undefined => (address.length === 4 ? address : undefined)
