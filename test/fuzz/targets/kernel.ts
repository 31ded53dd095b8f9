// What the kernel says of who is connected: answers of sock_diag, and files of /proc in which others choose some of the text.
import { containerIn } from '../../../proxy/identify/kernel/cgroup.ts'
import { ownerInTable } from '../../../proxy/identify/kernel/proc-net.ts'
import { parseStat } from '../../../proxy/identify/kernel/process-stat.ts'
import { diagnosisAnswer, diagnosisRequest } from '../../../proxy/identify/kernel/sock-diag.ts'
import { addressBytes, addressText, type TcpEnds } from '../../../proxy/identify/kernel/tcp-ends.ts'
import { latin1, must, mustEqual, type Target } from '../target.ts'

const v4: TcpEnds = {
  local: { address: Uint8Array.of(127, 0, 0, 1), port: 40_000 },
  remote: { address: Uint8Array.of(127, 0, 0, 1), port: 15_001 },
}

/** As the kernel answers a question about these ends. */
function answer(ends: TcpEnds): Buffer {
  const bytes = Buffer.alloc(88)
  const asked = Buffer.from(diagnosisRequest(ends, 7))
  bytes.writeUInt32LE(88, 0)
  bytes.writeUInt16LE(20, 4)
  bytes.writeUInt32LE(7, 8)
  bytes[16] = asked[16] ?? 0
  asked.copy(bytes, 20, 24, 64)
  bytes.writeUInt32LE(1_000, 80)
  bytes.writeUInt32LE(123_456, 84)
  return bytes
}

const row =
  '  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n' +
  '   0: 0100007F:9C40 0100007F:3A99 01 00000000:00000000 00:00000000 00000000  1000        0 123456 1 0 20 4 30 10 -1\n'
const id = '0123456789abcdef'.repeat(4)

export const target: Target = {
  name: 'kernel',
  longest: 700,
  seeds: [
    answer(v4),
    row,
    `0::/kubepods.slice/kubepods-pod1.slice/cri-containerd-${id}.scope\n`,
    `12:pids:/docker/${id}\n0::/\n`,
    '4242 (sh) ) S 1 4242 4242 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 777777 1 1 1',
    '::ffff:192.0.2.1',
    'fe80::1%eth0',
    '2001:db8:0:0:1::1',
  ],
  dictionary: [
    ' 0100007F:9C40 0100007F:3A99 ',
    '0::/',
    'cri-containerd-',
    '.scope',
    id,
    ') ',
    '(',
    '::',
    '%',
    '\n',
    '0.0.0.0',
    ':',
  ],
  run(input) {
    const owner = diagnosisAnswer(input, v4, 7)
    if (owner !== undefined) {
      must(owner.inode > 0, 'a socket that nobody holds')
      must(Buffer.from(input).includes(Buffer.of(127, 0, 0, 1)), 'an owner of other ends')
    }
    const text = latin1(input)
    for (const name of ['tcp', 'tcp6'] as const) {
      const found = ownerInTable(text, name, v4)
      must(found === undefined || (found.inode > 0 && Number.isSafeInteger(found.uid)), 'an owner by table')
    }
    const container = containerIn(text)
    must(container === undefined || /^[0-9a-f]{64}$|^[0-9a-f-]{8,}$/.test(container), `a container: ${container}`)
    const stat = parseStat(text)
    must(stat === undefined || (Number.isSafeInteger(stat.start) && /^[A-Za-z]$/.test(stat.state)), 'a process')
    const address = addressBytes(text)
    if (address === undefined) return
    must(address.length === 4 || address.length === 16, 'the length of an address')
    mustEqual([...(addressBytes(addressText(address)) ?? [])], [...address], `another address: ${text}`)
  },
}
