// Records that somebody altered afterwards, sealing anew what follows: none that differs from what was written is taken for it.
import { hashOf, sealed, sealOf } from '../../../proxy/record/audit/seal.ts'
import { Verifier } from '../../../proxy/record/audit/verify.ts'
import { parseRecord } from '../../../proxy/record/reader.ts'
import { aRecord, aTrail } from '../../proxy/record/audit/trails.ts'
import { latin1, must, mustEqual, type Target, utf8 } from '../target.ts'

const written = aTrail()
for (let number = 1; number <= 3; number++) written.write(aRecord(number))
written.trail.checkpoint()
for (let number = 4; number <= 5; number++) written.write(aRecord(number))
written.trail.close()
const lines: readonly string[] = written.lines
const expectHead = hashOf(lines.at(-1) ?? '')
const whole = Buffer.from(lines.map((line) => `${line}\n`).join('')).toString('latin1')

/** Each change is four bytes: what is done, to which line, where, and with what. */
const changes = 10

export const target: Target = {
  name: 'audit',
  longest: 300,
  seeds: [
    ...Array.from({ length: changes }, (_, kind) => Buffer.of(kind, 2, 40, 65)),
    Buffer.of(0, 3, 20, 66, 7, 3, 0, 0),
    Buffer.from('\x08\x01\0\0{"v":1,"id":"x","time":"t","kind":"request","seq":3,"prev":"', 'latin1'),
  ],
  dictionary: [
    ...Array.from({ length: changes }, (_, kind) => Buffer.of(kind, 9, 3, 34)),
    ...[
      '{"v":1}',
      '"seq":',
      '"prev":"',
      '"kind":"checkpoint"',
      '"kind":"audit"',
      '"event":"torn"',
      '\n',
      '}',
      '\\u0000',
      'é',
    ],
  ],
  run(input) {
    const text = altered(input)
    const strict = report(text, { fromStart: true, expectHead, expectSeq: lines.length })
    const same = text === whole || `${text}\n` === whole
    // Records that follow the head that was noted are held by the next one that is.
    if (strict.ok)
      must(
        same || text.startsWith(whole),
        `records that were not written so are taken: ${JSON.stringify(text.slice(0, 2_000))}`,
      )
    else must(!same && strict.findings.length > 0, 'what was written is not taken')
    // Without anything to hold it against it says what it can, and never fails.
    const open = report(text, {})
    must(open.ok === (open.findings.length === 0), 'findings and a good report')
    for (const line of [...text.split('\n'), utf8(input)]) {
      const record = parseRecord(line)
      if (record !== undefined) mustEqual(typeof record.kind, 'string', 'a record without a kind')
    }
  },
}

function report(text: string, options: ConstructorParameters<typeof Verifier>[0]) {
  const verifier = new Verifier(options)
  verifier.begin('records.jsonl')
  const bytes = Buffer.from(text, 'latin1')
  for (let at = 0; at < bytes.length; ) {
    const end = bytes.indexOf(0x0a, at)
    verifier.line(bytes.subarray(at, end === -1 ? bytes.length : end), end !== -1)
    at = end === -1 ? bytes.length : end + 1
  }
  return verifier.end()
}

function altered(input: Uint8Array): string {
  const bytes = lines.map((line) => Buffer.from(line).toString('latin1'))
  let end = '\n'
  for (let at = 0; at + 3 < input.length; at += 4) {
    const [kind = 0, which = 0, where = 0, what = 0] = input.subarray(at, at + 4)
    const index = which % Math.max(1, bytes.length)
    const line = bytes[index] ?? ''
    const place = Math.floor((where / 256) * line.length)
    switch (kind % changes) {
      case 0:
        bytes[index] = `${line.slice(0, place)}${String.fromCharCode(what)}${line.slice(place + 1)}`
        break
      case 1:
        bytes.splice(index, 1)
        break
      case 2:
        bytes.splice(what % (bytes.length + 1), 0, line)
        break
      case 3:
        bytes.splice(what % (bytes.length + 1), 0, ...bytes.splice(index, 1))
        break
      case 4:
        bytes[index] = line.slice(0, place)
        break
      case 5:
        bytes[index] = `${line.slice(0, place)}\n${line.slice(place)}`
        break
      case 6:
        end = what % 2 === 0 ? '' : '\n\n'
        break
      case 7:
        sealAnew(bytes, index)
        break
      case 8:
        bytes.splice(index, 0, latin1(input.subarray(at + 4)))
        break
      default:
        bytes[index] = line.replace(/"seq":\d+/, `"seq":${what}`)
    }
  }
  return bytes.join('\n') + (bytes.length === 0 ? '' : end)
}

/** As whoever can compute a hash would, from a line on. */
function sealAnew(bytes: string[], from: number): void {
  for (let index = Math.max(1, from); index < bytes.length; index++) {
    const line = Buffer.from(bytes[index] ?? '', 'latin1')
    const seal = sealOf(line)
    if (seal === undefined) continue
    const bare = `${line.toString('latin1').replace(/,"seq":\d+,"prev":"[^"]*"(?:,"trail":"[^"]*")?\}$/, '')}}`
    bytes[index] = sealed(bare, index + 1, hashOf(Buffer.from(bytes[index - 1] ?? '', 'latin1')), seal.trail)
  }
}
