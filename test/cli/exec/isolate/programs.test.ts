// Programs are found as the kernel and the C library would find them, and what is missing is named with its package.
import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { findProgram, neededPrograms } from '../../../../cli/exec/isolate/programs.ts'

let folder: string
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'programs-'))
  for (const name of ['first', 'second']) mkdirSync(join(folder, name))
  const write = (name: string, mode: number) => {
    writeFileSync(join(folder, name), '')
    chmodSync(join(folder, name), mode)
  }
  write('first/plain', 0o644)
  write('second/plain', 0o755)
  write('first/only-plain', 0o644)
  write('second/tool', 0o755)
  mkdirSync(join(folder, 'first/tool'))
  symlinkSync('nowhere', join(folder, 'first/dangling'))
})
afterAll(() => rmSync(folder, { recursive: true }))

const path = () => `${folder}/first:/no/such/folder:${folder}/second`

describe('a program', () => {
  it.each(['missing', 'dangling', './missing', '/no/such/program'])('%j is nowhere', (name) => {
    expect(findProgram(name, path())).toEqual({ code: 'ENOENT' })
  })

  it.each(['only-plain', 'first/only-plain', 'first/tool', '/'])('%j is there and cannot be run', (name) => {
    const file = name.includes('/') && name !== '/' ? join(folder, name) : name
    expect(findProgram(file, path())).toEqual({ code: 'EACCES' })
  })

  it.each(['plain', 'tool'])('%s is found behind something of the name that cannot be run', (name) => {
    expect(findProgram(name, path())).toEqual({ path: join(folder, 'second', name) })
  })

  it('in no folder of an empty path is looked for where we are', () => {
    expect(findProgram('package.json', '')).toEqual({ code: 'EACCES' })
  })
})

describe('what is needed', () => {
  it('and missing is named, with what brings it', () => {
    expect(() => neededPrograms({ 'no-such-tool': 'some-package' }, path())).toThrow(
      'there is no no-such-tool here (of some-package)',
    )
  })

  it('is found by its absolute path, never in a folder that depends on where we are', () => {
    expect(neededPrograms({ tool: 'ours' }, path())).toEqual({ tool: join(folder, 'second/tool') })
    expect(() => neededPrograms({ 'package.json': 'none' }, '.:')).toThrow('there is no package.json here')
  })
})
