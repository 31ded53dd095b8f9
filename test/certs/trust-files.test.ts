// Trust files: what is written. What runtimes make of them is in trust/runtimes.test.ts.
import { execFile, execFileSync } from 'node:child_process'
import { X509Certificate } from 'node:crypto'
import { access, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { beforeEach, describe, expect, test } from 'vitest'
import { pemBlocks } from '../../certs/pem.ts'
import { PodAuthority } from '../../certs/pod-authority.ts'
import { appending, replacing } from '../../certs/trust/variables.ts'
import { writeTrustFiles } from '../../certs/trust-files.ts'
import { makeAuthority } from '../support/pki.ts'

const run = promisify(execFile)
const authority = new PodAuthority({ now: Date.now })
const caPem = authority.certificatePem
let directory: string

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'postern trust-'))
  return () => rm(directory, { recursive: true, force: true })
})

const certificatesOf = async (path: string | undefined) =>
  pemBlocks(await readFile(path ?? '', 'utf8')).map(({ der }) => Buffer.from(der).toString('base64'))
const [ours] = pemBlocks(caPem).map(({ der }) => Buffer.from(der).toString('base64'))

describe('writeTrustFiles', () => {
  test('refuses an authority that is not in PEM, and a folder that was written to already', async () => {
    await expect(writeTrustFiles({ directory: join(directory), caPem: 'nothing' })).rejects.toThrow('not in PEM')
    await expect(writeTrustFiles({ directory, caPem })).rejects.toThrow('EEXIST')
  })

  test('writes files for all in a folder for us, and removes it', async () => {
    const { remove } = await writeTrustFiles({ directory, caPem })
    const folder = join(directory, 'trust')
    const mode = async (path: string) => ((await stat(path)).mode & 0o777).toString(8)
    expect(await mode(folder)).toBe('700')
    for (const file of ['ca.pem', 'combined.pem', 'truststore.p12']) expect(await mode(join(folder, file))).toBe('644')
    await remove()
    await expect(access(folder)).rejects.toThrow('ENOENT')
    await remove()
  })

  test('sets every variable: those that replace to all roots, those that add to ours alone', async () => {
    const { environment } = await writeTrustFiles({ directory, caPem })
    for (const variable of replacing) expect(environment[variable]).toBe(join(directory, 'trust/combined.pem'))
    for (const variable of appending) expect(environment[variable]).toBe(join(directory, 'trust/ca.pem'))
    expect(await certificatesOf(environment.NODE_EXTRA_CA_CERTS)).toEqual([ours])
    const combined = await certificatesOf(environment.SSL_CERT_FILE)
    expect(combined[0]).toBe(ours)
    expect(combined.length).toBeGreaterThan(20)
    expect(new Set(combined).size).toBe(combined.length)
  })

  test('keeps the roots that the environment named, wherever they were named', async () => {
    const [one, two] = [makeAuthority(), makeAuthority()]
    await writeFile(join(directory, 'one.pem'), one.pem)
    await writeFile(join(directory, 'two.pem'), two.pem)
    const inherited = {
      REQUESTS_CA_BUNDLE: join(directory, 'one.pem'),
      NODE_EXTRA_CA_CERTS: join(directory, 'two.pem'),
      PIP_CERT: join(directory, 'missing.pem'),
      CONDA_SSL_VERIFY: 'true',
    }
    const { environment } = await writeTrustFiles({ directory, caPem, inherited })
    const combined = await certificatesOf(environment.NODE_EXTRA_CA_CERTS)
    expect(combined).toContain(Buffer.from(one.certificate).toString('base64'))
    expect(combined).toContain(Buffer.from(two.certificate).toString('base64'))
    expect(await certificatesOf(environment.DENO_CERT)).toEqual([ours])
  })

  test('keeps the settings of wget that the environment named', async () => {
    await writeFile(join(directory, 'settings'), 'user_agent = somebody')
    const inherited = { SYSTEM_WGETRC: join(directory, 'settings') }
    const { environment } = await writeTrustFiles({ directory, caPem, inherited })
    const roots = join(directory, 'trust/combined.pem')
    const settings = await readFile(environment.SYSTEM_WGETRC ?? '', 'utf8')
    expect(settings).toBe(`user_agent = somebody\nca_certificate = ${roots}\n`)
  })
})

/** @returns whether the program is here; if not, the test says so and is skipped */
function has(program: string, ...args: string[]): boolean {
  try {
    execFileSync(program, args, { stdio: 'ignore' })
    return true
  } catch {
    console.warn(`skipped: ${program} is not on this machine`)
    return false
  }
}

describe.skipIf(!has('openssl', 'version'))('openssl', () => {
  test('names our authority as the folder does', async () => {
    const { environment } = await writeTrustFiles({ directory, caPem })
    const { stdout } = await run('openssl', [
      'x509',
      '-in',
      environment.NODE_EXTRA_CA_CERTS ?? '',
      '-noout',
      '-subject_hash',
    ])
    expect(await readdir(environment.SSL_CERT_DIR ?? '')).toEqual([`${stdout.trim()}.0`])
  })

  test('takes a leaf by the folder alone', async () => {
    const { environment } = await writeTrustFiles({ directory, caPem })
    const leaf = authority.issue({
      subject: new Uint8Array(Buffer.from('3000', 'hex')),
      publicKey: new X509Certificate(caPem).publicKey.export({ type: 'spki', format: 'der' }),
      extensions: [],
      lifetime: 60_000,
    })
    await writeFile(join(directory, 'leaf.pem'), new X509Certificate(leaf.certificate).toString())
    const verify = ['verify', '-no-CAfile', '-no-CAstore', '-CApath', environment.SSL_CERT_DIR ?? '']
    const { stdout } = await run('openssl', [...verify, join(directory, 'leaf.pem')])
    expect(stdout).toMatch(/OK\n$/)
  })
})
