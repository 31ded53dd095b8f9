// Identity from files: what is wrong keeps the last good one, what is swapped is noticed.
import { mkdir, mkdtemp, rename, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest'
import { FileSource, type FileSourceOptions } from '../../certs/file-source.ts'
import { certificatePem } from '../../certs/pem.ts'
import { parseTrustDomain } from '../../certs/spiffe-id.ts'
import { keyPem, makeAuthority, makeKey, makeSvid } from '../support/pki.ts'

const acme = parseTrustDomain('acme.example')
const other = parseTrustDomain('other.example')
const root = makeAuthority()

/** The files that spiffe-helper writes. */
function identityFiles(id = 'spiffe://acme.example/postern') {
  const { chain, key } = makeSvid(makeAuthority({ parent: root }), id)
  return { 'svid.pem': chain.map(certificatePem).join(''), 'svid_key.pem': keyPem(key), 'svid_bundle.pem': root.pem }
}

async function write(folder: string, files: Record<string, string>): Promise<void> {
  for (const [file, text] of Object.entries(files)) await writeFile(join(folder, file), text)
}

let folder: string
let problems: string[]
let now: number

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'postern-files-'))
  problems = []
  now = Date.now()
  return () => rm(folder, { recursive: true })
})

async function open(options: Partial<FileSourceOptions> = {}, base = folder): Promise<FileSource> {
  const source = await FileSource.open({
    identity: { certificate: join(base, 'svid.pem'), key: join(base, 'svid_key.pem') },
    bundles: new Map([[acme, join(base, 'svid_bundle.pem')]]),
    trustDomain: acme,
    now: () => now,
    onProblem: ({ message }) => problems.push(message),
    ...options,
  })
  onTestFinished(() => source.close())
  return source
}

describe('FileSource', () => {
  test('files that are not there yet are told of once, and awaited', async () => {
    const source = await open()
    expect(() => source.svid()).toThrow('there is no identity yet')
    expect(source.bundle(acme)).toBeUndefined()
    await source.reload()
    expect(problems).toHaveLength(2)
    expect(problems[0]).toMatch(/svid\.pem, .*svid_key\.pem: ENOENT/)
    await write(folder, identityFiles())
    await vi.waitFor(() => {
      expect(source.svid().id).toBe('spiffe://acme.example/postern')
      expect(source.bundle(acme)?.x509Authorities).toHaveLength(1)
    }, 5000)
  })

  test('files in a folder that is made later are found', async () => {
    const later = join(folder, 'later')
    const source = await open({}, later)
    await mkdir(later)
    await write(later, identityFiles())
    await source.reload()
    expect(source.svid().id).toBe('spiffe://acme.example/postern')
  })

  test.each([
    ['svid.pem', 'garbage', 'there is no CERTIFICATE in PEM'],
    ['svid.pem', '', 'there is no CERTIFICATE in PEM'],
    ['svid.pem', root.pem, 'svid_no_uri_san'],
    ['svid_key.pem', keyPem(makeKey()), 'the private key is not that of the certificate'],
    ['svid_key.pem', '-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----', 'cannot be read as PKCS#8'],
    ['svid_key.pem', '-----BEGIN PRIVATE KEY-----\nAAAA', 'a PEM block does not end'],
    ['svid_bundle.pem', '', 'there is no CERTIFICATE in PEM'],
    ['svid_bundle.pem', '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----', 'expected tag'],
    ['svid_bundle.pem', ' '.repeat(1024 * 1024 + 1), 'larger than'],
  ])('a bad %s (%#) keeps the last good one and is told of', async (file, text, problem) => {
    await write(folder, identityFiles())
    const source = await open()
    const before = [source.svid(), source.bundle(acme)]
    await writeFile(join(folder, file), text)
    await source.reload()
    await source.reload()
    expect([source.svid(), source.bundle(acme)]).toEqual(before)
    expect(problems).toHaveLength(1)
    expect(problems[0]).toContain(problem)
    expect(problems[0]).toContain(join(folder, file))
  })

  test('an identity of another trust domain is not taken', async () => {
    await write(folder, identityFiles('spiffe://other.example/postern'))
    const source = await open()
    expect(() => source.svid()).toThrow('there is no identity yet')
    expect(problems[0]).toContain('is not of the trust domain acme.example')
  })

  test('files that are removed leave the last good ones in use', async () => {
    await write(folder, identityFiles())
    const source = await open()
    await rm(join(folder, 'svid.pem'))
    await source.reload()
    expect(source.svid().id).toBe('spiffe://acme.example/postern')
    expect(problems[0]).toContain('ENOENT')
  })

  test('an identity that has expired is not given out', async () => {
    await write(folder, identityFiles())
    const source = await open()
    now = source.svid().expiresAt
    expect(source.svid().id).toBe('spiffe://acme.example/postern')
    now += 1
    expect(() => source.svid()).toThrow('the identity has expired')
  })

  test('there is no JWT-SVID in files', async () => {
    await expect((await open()).jwt()).rejects.toThrow('no JWT-SVID')
  })

  test('without an identity callers can still be verified', async () => {
    await write(folder, identityFiles())
    const source = await open({ identity: undefined })
    expect(() => source.svid()).toThrow('there is no identity yet')
    expect(source.bundle(acme)?.trustDomain).toBe('acme.example')
    expect(problems).toEqual([])
  })

  test('bundles of several domains stay apart', async () => {
    const theirs = makeAuthority()
    await write(folder, { ...identityFiles(), 'other.pem': theirs.pem })
    const bundles = new Map([
      [acme, join(folder, 'svid_bundle.pem')],
      [other, join(folder, 'other.pem')],
    ])
    const source = await open({ bundles })
    expect(source.bundle(other)?.x509Authorities.map((der) => Buffer.from(der))).toEqual([
      Buffer.from(theirs.certificate),
    ])
    expect(source.bundle(acme)?.x509Authorities).toHaveLength(1)
  })

  test('an unchanged bundle stays the same object, a changed one is a new object', async () => {
    await write(folder, identityFiles())
    const source = await open()
    const first = source.bundle(acme)
    await source.reload()
    expect(source.bundle(acme)).toBe(first)
    await writeFile(join(folder, 'svid_bundle.pem'), root.pem + makeAuthority().pem)
    await source.reload()
    expect(source.bundle(acme)?.x509Authorities).toHaveLength(2)
    expect(source.bundle(acme)).not.toBe(first)
  })

  test('a renewal written file by file is taken when it is whole, and told to those who watch', async () => {
    await write(folder, identityFiles())
    const source = await open()
    const stop = new AbortController()
    onTestFinished(() => stop.abort())
    const updates = source.updates(stop.signal)[Symbol.asyncIterator]()
    const before = source.svid()
    await write(folder, identityFiles())
    await updates.next()
    expect(source.svid().chain).not.toEqual(before.chain)
  })

  test('the swap of a symbolic link, as Kubernetes makes it, is noticed, again and again', async () => {
    for (const each of ['..1', '..2', '..3']) {
      await mkdir(join(folder, each))
      await write(join(folder, each), identityFiles(`spiffe://acme.example/at${each}`))
    }
    await symlink('..1', join(folder, '..data'))
    for (const file of ['svid.pem', 'svid_key.pem', 'svid_bundle.pem'])
      await symlink(join('..data', file), join(folder, file))
    const source = await open()
    expect(source.svid().id).toBe('spiffe://acme.example/at..1')
    for (const each of ['..2', '..3']) {
      await symlink(each, join(folder, '..tmp'))
      await rename(join(folder, '..tmp'), join(folder, '..data'))
      await vi.waitFor(() => expect(source.svid().id).toBe(`spiffe://acme.example/at${each}`), 5000)
    }
  })

  test('a change in the folder that a link leads to is noticed', async () => {
    const real = join(folder, 'real')
    await mkdir(real)
    await write(real, identityFiles())
    const links = join(folder, 'links')
    await mkdir(links)
    for (const file of ['svid.pem', 'svid_key.pem', 'svid_bundle.pem'])
      await symlink(join(real, file), join(links, file))
    const source = await open({}, links)
    await write(real, identityFiles('spiffe://acme.example/renewed'))
    await vi.waitFor(() => expect(source.svid().id).toBe('spiffe://acme.example/renewed'), 5000)
  })

  test('a folder that is replaced as a whole is watched anew', async () => {
    const inner = join(folder, 'inner')
    await mkdir(inner)
    await write(inner, identityFiles())
    const source = await open({}, inner)
    await rename(inner, join(folder, 'old'))
    await mkdir(inner)
    await write(inner, identityFiles('spiffe://acme.example/second'))
    await source.reload()
    expect(source.svid().id).toBe('spiffe://acme.example/second')
    await write(inner, identityFiles('spiffe://acme.example/third'))
    await vi.waitFor(() => expect(source.svid().id).toBe('spiffe://acme.example/third'), 5000)
  })
})
