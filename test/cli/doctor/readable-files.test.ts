// Which files are looked at: what a user can read, each once, and within bounds.
import { chmod, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type Looked, mostBytes, readableFiles, usualPlaces } from '../../../cli/doctor/readable-files.ts'
import { execute } from '../../support/execute.ts'

let place = ''
beforeEach(async () => {
  place = await mkdtemp(join(tmpdir(), 'postern-files-'))
})
afterEach(() => rm(place, { recursive: true, force: true }))

async function read(places: readonly string[], signal = new AbortController().signal) {
  const looked: Looked = { files: 0, bytes: 0 }
  const names: string[] = []
  for await (const { path } of readableFiles(places, looked, signal)) names.push(path.slice(place.length + 1))
  return { names: names.sort(), looked }
}
const put = async (name: string, content: string | Uint8Array = 'text') => {
  await mkdir(join(place, name, '..'), { recursive: true })
  await writeFile(join(place, name), content)
}

describe('files', () => {
  it('are found below a place, each once, and by a link as Kubernetes mounts secrets', async () => {
    await put('..2026_01/token')
    await symlink('..2026_01', join(place, '..data'))
    await symlink('..data/token', join(place, 'token'))
    await put('a/b/c.txt')
    const { names, looked } = await read([place, join(place, 'a')])
    expect(names).toHaveLength(2)
    expect(names).toContain('a/b/c.txt')
    expect(looked).toEqual({ files: 2, bytes: 8 })
  })

  it('that are no text, or what others publish, are passed over', async () => {
    await put('image.png', Uint8Array.of(0x89, 0x50, 0, 0))
    await put('node_modules/x/index.js')
    await put('.git/config')
    expect((await read([place])).names).toEqual([])
  })

  it('that cannot be read are passed over, and a pipe keeps nobody', async () => {
    await put('mine')
    await chmod(join(place, 'mine'), 0)
    await execute('mkfifo', ['pipe'], { cwd: place })
    const { names } = await read([place, join(place, 'missing')])
    expect(names).toEqual(process.getuid?.() === 0 ? ['mine'] : [])
  })

  it('are read as far as a bound, and a circle of links ends', async () => {
    await put('large', 'x'.repeat(mostBytes + 10))
    await symlink('.', join(place, 'again'))
    expect((await read([place])).looked).toEqual({ files: 1, bytes: mostBytes })
  })

  it('that there was no time for are told of', async () => {
    await put('a')
    expect((await read([place], AbortSignal.abort())).looked).toEqual({ files: 0, bytes: 0, cut: 'the time was up' })
  })

  it('are looked for at home and where secrets are mounted, and not in the whole image', async () => {
    const usual = await usualPlaces({ HOME: '/home/ada' }, '/srv/app')
    expect(usual).toEqual(expect.arrayContaining(['/home/ada', '/home/ada/.netrc', '/srv/app', '/run/secrets']))
    expect(await usualPlaces({ HOME: '/' }, '/')).not.toContain('/')
    expect(await usualPlaces({}, '/')).not.toContain('')
  })
})
