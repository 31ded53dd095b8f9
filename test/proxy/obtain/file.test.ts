import { execFileSync } from 'node:child_process'
import { chmod, mkdir, mkdtemp, rename, rm, symlink, unlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { FileProvider } from '../../../proxy/obtain/file.ts'
import { CredentialManager } from '../../../proxy/obtain/manager.ts'
import { needOf, never, refusalOf } from './world.ts'

let folder: string
const providers: FileProvider[] = []

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'postern-file-'))
})
afterEach(async () => {
  for (const provider of providers.splice(0)) provider.close()
  await rm(folder, { recursive: true, force: true })
})

function provider(path: string): FileProvider {
  const made = new FileProvider('crm-key', { kind: 'file', for: ['crm'], path, username: undefined, ttl: undefined })
  providers.push(made)
  return made
}

async function detailOf(path: string): Promise<string | undefined> {
  const refusal = await refusalOf(provider(path).obtain())
  expect(refusal.reason).toBe('credential_unavailable')
  return refusal.detail
}

describe('refuses, and names the path', () => {
  it('when the file is missing', async () => {
    expect(await detailOf(join(folder, 'none'))).toBe(`${join(folder, 'none')}: ENOENT`)
  })

  it.skipIf(process.getuid?.() === 0)('when the file may not be read (needs a user other than root)', async () => {
    const path = join(folder, 'token')
    await writeFile(path, 'x')
    await chmod(path, 0)
    expect(await detailOf(path)).toBe(`${path}: EACCES`)
  })

  it('when it is a folder', async () => {
    expect(await detailOf(folder)).toBe(`${folder} is not a regular file`)
  })

  it('when it is a device that never ends', async () => {
    expect(await detailOf('/dev/zero')).toBe('/dev/zero is not a regular file')
  })

  it('when it is a FIFO, without waiting for its writer', async () => {
    const path = join(folder, 'fifo')
    execFileSync('sh', ['-c', 'mkfifo "$0"', path])
    expect(await detailOf(path)).toBe(`${path} is not a regular file`)
  })

  it('when it is larger than any credential', async () => {
    const path = join(folder, 'token')
    await writeFile(path, 'x'.repeat(65_537))
    expect(await detailOf(path)).toBe(`${path} is larger than 65536 bytes`)
  })

  it('when it is empty, or nothing but a line end', async () => {
    const path = join(folder, 'token')
    for (const content of ['', '\n', '\r\n']) {
      await writeFile(path, content)
      expect(await detailOf(path)).toBe(`${path} is empty`)
    }
  })

  it('when it has several lines', async () => {
    const path = join(folder, 'token')
    for (const content of ['a\nb', 'a\n\n', '\na']) {
      await writeFile(path, content)
      expect(await detailOf(path)).toBe(`${path} holds a control character`)
    }
  })

  it('when it is not text', async () => {
    const path = join(folder, 'token')
    await writeFile(path, Buffer.from([0xff, 0xfe, 0x41]))
    expect(await detailOf(path)).toBe(`${path} is not UTF-8 text`)
  })
})

it('gives the content without one final line end', async () => {
  const path = join(folder, 'token')
  for (const content of ['s3cret', 's3cret\n', 's3cret\r\n']) {
    await writeFile(path, content)
    expect((await provider(path).obtain()).secret.reveal()).toBe('s3cret')
  }
})

describe('a replaced file', () => {
  function managed(path: string) {
    const manager = new CredentialManager(new Map([['crm-key', { provider: provider(path), ttl: undefined }]]), {
      clock: Date.now,
    })
    return async () => (await manager.obtain('crm-key', needOf(), never)).secret.reveal()
  }

  it('is read after the symlink swap of a mounted secret', async () => {
    // As the kubelet does it: token → ..data/token, ..data → ..1, swapped by a rename of the symlink.
    await mkdir(join(folder, '..1'))
    await writeFile(join(folder, '..1', 'token'), 'first')
    await symlink('..1', join(folder, '..data'))
    await symlink(join('..data', 'token'), join(folder, 'token'))
    const current = managed(join(folder, 'token'))
    expect(await current()).toBe('first')

    await mkdir(join(folder, '..2'))
    await writeFile(join(folder, '..2', 'token'), 'other')
    await symlink('..2', join(folder, '..data_tmp'))
    await rename(join(folder, '..data_tmp'), join(folder, '..data'))
    await rm(join(folder, '..1'), { recursive: true })
    await vi.waitFor(async () => expect(await current()).toBe('other'), { timeout: 5_000 })
  })

  it('is read after a rename over it, and after a write into it', async () => {
    const path = join(folder, 'token')
    await writeFile(path, 'first')
    const current = managed(path)
    expect(await current()).toBe('first')
    await writeFile(`${path}.new`, 'other')
    await rename(`${path}.new`, path)
    await vi.waitFor(async () => expect(await current()).toBe('other'), { timeout: 5_000 })
    await writeFile(path, 'third value')
    await vi.waitFor(async () => expect(await current()).toBe('third value'), { timeout: 5_000 })
  })

  it('that is taken away ends the credential, and is read when it comes back', async () => {
    const path = join(folder, 'token')
    await writeFile(path, 'first')
    const current = managed(path)
    expect(await current()).toBe('first')
    await unlink(path)
    await vi.waitFor(async () => expect((await refusalOf(current())).reason).toBe('credential_unavailable'), {
      timeout: 5_000,
    })
    await writeFile(path, 'other')
    await vi.waitFor(async () => expect(await current()).toBe('other'), { timeout: 5_000 })
  })

  it('that appears late is read without waiting for the back-off', async () => {
    const path = join(folder, 'token')
    const current = managed(path)
    expect((await refusalOf(current())).detail).toBe(`${path}: ENOENT`)
    await writeFile(path, 'first')
    await vi.waitFor(async () => expect(await current()).toBe('first'), { timeout: 5_000 })
  })
})
