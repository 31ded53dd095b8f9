// Every file of an image, with what ELF says of it: for which machine it is, and which libraries it needs.
import { lstatSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

export interface Entry {
  /** From the root of the image, without a slash in front. */
  readonly path: string
  readonly kind: 'file' | 'folder' | 'link' | 'other'
  /** Permissions, with setuid, setgid and sticky. */
  readonly mode: number
  readonly uid: number
  readonly gid: number
}

export function entriesOf(root: string, folder = ''): readonly Entry[] {
  return readdirSync(join(root, folder)).flatMap((name) => {
    const path = join(folder, name)
    const is = lstatSync(join(root, path))
    const kind = is.isFile() ? 'file' : is.isDirectory() ? 'folder' : is.isSymbolicLink() ? 'link' : 'other'
    const entry: Entry = { path, kind, mode: is.mode & 0o7777, uid: is.uid, gid: is.gid }
    return kind === 'folder' ? [entry, ...entriesOf(root, path)] : [entry]
  })
}

export interface Elf {
  /** e_machine: 62 is x86-64, 183 is AArch64 (System V ABI). */
  readonly machine: number
  /** DT_NEEDED, and the interpreter by its last name. */
  readonly needed: readonly string[]
}

const segment = { load: 1, dynamic: 2, interpreter: 3 } as const
const entry = { end: 0n, needed: 1n, strings: 5n } as const

/** @returns undefined when the file is not ELF of 64 bits, low byte first */
export function elfOf(file: string): Elf | undefined {
  const bytes = readFileSync(file)
  if (bytes.length < 64 || bytes.readUInt32BE(0) !== 0x7f454c46 || bytes[4] !== 2 || bytes[5] !== 1) return undefined
  const at = (offset: number) => Number(bytes.readBigUInt64LE(offset))
  const first = at(32)
  const size = bytes.readUInt16LE(54)
  const headers = Array.from({ length: bytes.readUInt16LE(56) }, (_, index) => {
    const start = first + index * size
    return { type: bytes.readUInt32LE(start), offset: at(start + 8), address: at(start + 16), length: at(start + 32) }
  })
  const placeOf = (address: number) => {
    const segmentOf = headers.find(
      (each) => each.type === segment.load && address >= each.address && address < each.address + each.length,
    )
    return segmentOf === undefined ? address : address - segmentOf.address + segmentOf.offset
  }
  const textAt = (offset: number) => bytes.toString('latin1', offset, bytes.indexOf(0, offset))
  const names: number[] = []
  let strings = 0
  const dynamic = headers.find(({ type }) => type === segment.dynamic)
  for (let place = dynamic?.offset ?? bytes.length; place + 16 <= bytes.length; place += 16) {
    const tag = bytes.readBigUInt64LE(place)
    if (tag === entry.end) break
    if (tag === entry.needed) names.push(at(place + 8))
    if (tag === entry.strings) strings = placeOf(at(place + 8))
  }
  const interpreter = headers.find(({ type }) => type === segment.interpreter)
  return {
    machine: bytes.readUInt16LE(18),
    needed: [
      ...names.map((name) => textAt(strings + name)),
      ...(interpreter === undefined ? [] : [textAt(interpreter.offset).split('/').at(-1) ?? '']),
    ],
  }
}
