// One file out of a tar and out of a zip, made by others and by hand.
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { crc32, deflateRawSync } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import { fileOfTar, fileOfZip } from '../../../deploy/helm/unpack.ts'

const files = { 'a/empty': '', 'a/one': 'x'.repeat(511), 'a/two': 'y'.repeat(2_000) }

describe('a file of a tar', () => {
  const folder = mkdtempSync(join(tmpdir(), 'postern-tar-'))
  for (const [path, text] of Object.entries(files)) writeFileSync(join(folder, path.slice(2)), text)
  const names = Object.keys(files).map((path) => path.slice(2))
  const tar = execFileSync('tar', ['--format=ustar', '--transform=s,^,a/,', '-cf', '-', ...names], { cwd: folder })
  rmSync(folder, { recursive: true })

  it('is found by its whole path', () => {
    for (const [path, text] of Object.entries(files)) expect(fileOfTar(tar, path).toString()).toBe(text)
  })

  it('that is not there is told', () => {
    expect(() => fileOfTar(tar, 'two')).toThrow('no two in this tar')
    expect(() => fileOfTar(Buffer.alloc(0), 'two')).toThrow('no two in this tar')
  })
})

describe('a file of a zip', () => {
  const zip = zipOf(files)

  it('is found by its whole path, packed or not', () => {
    for (const [path, text] of Object.entries(files)) expect(fileOfZip(zip, path).toString()).toBe(text)
  })

  it('that is not there is told, and so is what is no zip', () => {
    expect(() => fileOfZip(zip, 'two')).toThrow('no two in this zip')
    expect(() => fileOfZip(Buffer.from('not a zip, though it is long enough'), 'two')).toThrow('this is no zip')
    expect(() => fileOfZip(Buffer.alloc(3), 'two')).toThrow('this is no zip')
  })
})

function zipOf(contents: Readonly<Record<string, string>>): Buffer {
  const local: Buffer[] = []
  const central: Buffer[] = []
  let at = 0
  for (const [path, text] of Object.entries(contents)) {
    const isPacked = text.length > 1_000
    const bytes = isPacked ? deflateRawSync(text) : Buffer.from(text)
    const common = Buffer.alloc(26)
    common.writeUInt16LE(20, 0)
    common.writeUInt16LE(isPacked ? 8 : 0, 4)
    common.writeUInt32LE(crc32(text), 10)
    common.writeUInt32LE(bytes.length, 14)
    common.writeUInt32LE(text.length, 18)
    common.writeUInt16LE(path.length, 22)
    const tail = Buffer.alloc(14)
    tail.writeUInt32LE(at, 10)
    central.push(Buffer.from('PK\x01\x02\x14\0'), common, tail, Buffer.from(path))
    local.push(Buffer.from('PK\x03\x04'), common, Buffer.from(path), bytes)
    at += 30 + path.length + bytes.length
  }
  const directory = Buffer.concat(central)
  const end = Buffer.alloc(18)
  end.writeUInt16LE(Object.keys(contents).length, 6)
  end.writeUInt32LE(directory.length, 8)
  end.writeUInt32LE(at, 12)
  return Buffer.concat([...local, directory, Buffer.from('PK\x05\x06'), end])
}
