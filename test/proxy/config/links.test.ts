import { symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { linksOf } from '../../../proxy/config/links.ts'
import { folderWith } from './folder.ts'

const within = (folder: string, path: string) =>
  linksOf(path).map((link) => join(link.folder, link.name).replace(folder, '.'))

it('a plain file is decided by its own entry', () => {
  const folder = folderWith({ 'a/b.yaml': '' })
  expect(within(folder, join(folder, 'a/b.yaml'))).toEqual(['./a/b.yaml'])
})

it('a missing file is decided by the entry that it would have', () => {
  const folder = folderWith({ 'a/c': '' })
  expect(within(folder, join(folder, 'a/b.yaml'))).toEqual(['./a/b.yaml'])
})

it('a file in a missing folder is decided by the entry of the folder', () => {
  const folder = folderWith({})
  expect(within(folder, join(folder, 'a/b.yaml'))).toEqual(['./a'])
})

it('a mounted ConfigMap is decided by both links and by the file', () => {
  const folder = folderWith({ '..1/b.yaml': '' })
  symlinkSync('..1', join(folder, '..data'))
  symlinkSync('..data/b.yaml', join(folder, 'b.yaml'))
  expect(within(folder, join(folder, 'b.yaml'))).toEqual(['./b.yaml', './..data', './..1/b.yaml'])
})

it('a linked folder on the way counts', () => {
  const folder = folderWith({ 'releases/5/b.yaml': '' })
  symlinkSync('releases/5', join(folder, 'current'))
  expect(within(folder, join(folder, 'current/b.yaml'))).toEqual(['./current', './releases/5/b.yaml'])
})

it('links in a circle come to an end', () => {
  const folder = folderWith({})
  symlinkSync('b', join(folder, 'a'))
  symlinkSync('a', join(folder, 'b'))
  expect(linksOf(join(folder, 'a')).length).toBeLessThan(100)
})
