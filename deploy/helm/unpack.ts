// One file out of a tar, and one out of a zip, so that no program for either need be there.
import { inflateRawSync } from 'node:zlib'

const block = 512

/**
 * @param tar POSIX (IEEE 1003.1-1988, ustar), not compressed
 * @throws when it is not in there
 */
export function fileOfTar(tar: Buffer, path: string): Buffer {
  for (let at = 0; at + block <= tar.length; ) {
    const text = (from: number, length: number) => {
      return tar.toString('latin1', at + from, at + from + length).split('\0', 1)[0] ?? ''
    }
    const size = Number.parseInt(text(124, 12).trim() || '0', 8)
    if (text(0, 100) === path) return tar.subarray(at + block, at + block + size)
    at += block + Math.ceil(size / block) * block
  }
  throw new Error(`no ${path} in this tar`)
}

/**
 * @param zip without ZIP64, and without a comment of its own (APPNOTE.TXT 4.3.12, 4.3.16)
 * @throws when it is not in there
 */
export function fileOfZip(zip: Buffer, path: string): Buffer {
  const end = zip.length - 22
  if (end < 0 || zip.readUInt32LE(end) !== 0x06054b50) throw new Error('this is no zip, or one with a comment')
  let at = zip.readUInt32LE(end + 16)
  for (let left = zip.readUInt16LE(end + 10); left > 0; left--) {
    const nameLength = zip.readUInt16LE(at + 28)
    if (zip.toString('utf8', at + 46, at + 46 + nameLength) === path) {
      const isStored = zip.readUInt16LE(at + 10) === 0
      const local = zip.readUInt32LE(at + 42)
      const start = local + 30 + zip.readUInt16LE(local + 26) + zip.readUInt16LE(local + 28)
      const bytes = zip.subarray(start, start + zip.readUInt32LE(at + 20))
      return isStored ? bytes : inflateRawSync(bytes)
    }
    at += 46 + nameLength + zip.readUInt16LE(at + 30) + zip.readUInt16LE(at + 32)
  }
  throw new Error(`no ${path} in this zip`)
}
