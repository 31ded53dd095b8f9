// The kept key of the pod's authority: agents go on after a restart, and nobody else can have read or replaced it.
import { generateKeyPairSync, X509Certificate } from 'node:crypto'
import {
  chmod,
  lstat,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rename,
  rm,
  statfs,
  symlink,
  writeFile,
} from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, it, test } from 'vitest'
import { KeptKeyError, keptKey } from '../../certs/kept-key.ts'
import { PodAuthority } from '../../certs/pod-authority.ts'

const tmpfs = 0x01_02_19_94
const memory = await statfs('/dev/shm').then(
  ({ type }) => (type === tmpfs ? '/dev/shm' : undefined),
  () => undefined,
)

test.skipIf(memory !== undefined)('skipped: no file system in memory at /dev/shm', () => {})

describe.skipIf(memory === undefined)('the kept key', () => {
  let folder: string
  let file: string
  beforeEach(async () => {
    folder = await mkdtemp(join(memory ?? '', 'postern-kept-key-'))
    file = join(folder, 'private', 'authority.key')
  })
  afterEach(() => rm(folder, { recursive: true, force: true }))

  const refused = (message: RegExp) => expect(keptKey(file)).rejects.toThrow(message)
  const left = async (content: string, mode = 0o600) => {
    await mkdir(join(folder, 'private'), { mode: 0o700 })
    await writeFile(file, content, { mode })
  }

  it('is made once, for this user alone, and found again', async () => {
    const first = await keptKey(file)
    const second = await keptKey(file)
    expect([first.isNew, second.isNew]).toEqual([true, false])
    expect(second.key.equals(first.key)).toBe(true)
    expect([(await lstat(file)).mode & 0o777, (await lstat(join(folder, 'private'))).mode & 0o777]).toEqual([
      0o600, 0o700,
    ])
    expect(await readdir(join(folder, 'private'))).toEqual(['authority.key'])
  })

  it('a leaf of the authority after the restart verifies by the certificate of before', async () => {
    const now = Date.parse('2026-03-01T12:00:00Z')
    const before = new PodAuthority({ now: () => now, key: (await keptKey(file)).key })
    const after = new PodAuthority({ now: () => now + 3_600_000, key: (await keptKey(file)).key })
    const [old, fresh] = [before, after].map(({ certificate }) => new X509Certificate(certificate))
    expect(fresh?.subject).toBe(old?.subject)
    expect(fresh?.serialNumber).not.toBe(old?.serialNumber)
    expect(old && fresh?.checkIssued(old) && fresh.verify(old.publicKey)).toBe(true)
  })

  it('is refused where others can read it', async () => {
    await keptKey(file)
    await chmod(file, 0o640)
    await refused(/authority\.key is open to others/)
  })

  it('is refused in a folder that others can enter', async () => {
    await keptKey(file)
    await chmod(join(folder, 'private'), 0o755)
    await refused(/private is open to others/)
  })

  it('is refused behind a symbolic link', async () => {
    await keptKey(file)
    await rename(file, join(folder, 'elsewhere'))
    await symlink(join(folder, 'elsewhere'), file)
    await refused(/is a symbolic link/)
  })

  it('a folder in its place is refused', async () => {
    await mkdir(file, { recursive: true, mode: 0o700 })
    await chmod(join(folder, 'private'), 0o700)
    await refused(/is not a file/)
  })

  it('a key of another curve is refused, and stays', async () => {
    const other = generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()
    await left(other)
    await refused(/holds no P-256 key; remove it/)
    expect(await readFile(file, 'utf8')).toBe(other)
  })

  it('more than a key is refused unread', async () => {
    await left('x'.repeat(4_097))
    await refused(/too long for a key/)
  })

  it('what is no key is refused by name, whatever it is', async () => {
    await left('')
    await fc.assert(
      fc.asyncProperty(fc.string({ unit: 'binary', maxLength: 400 }), async (content) => {
        await writeFile(file, content)
        await expect(keptKey(file)).rejects.toThrow(KeptKeyError)
      }),
      { numRuns: 100 },
    )
  })
})

test('a key is not left on a disk', async (context) => {
  const folder = await mkdtemp(join(tmpdir(), 'postern-kept-key-'))
  try {
    if ((await statfs(folder)).type === tmpfs) context.skip('the folder for temporary files is in memory here')
    await expect(keptKey(join(folder, 'private', 'authority.key'))).rejects.toThrow(/is not in memory/)
    expect(await readdir(join(folder, 'private'))).toEqual([])
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
})
