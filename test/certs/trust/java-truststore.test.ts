// Java's truststore: read back by another reader, and by Java where it is. That Java takes a leaf by it: trust-files.test.ts.
import { execFile } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createSecureContext, rootCertificates } from 'node:tls'
import { promisify } from 'node:util'
import forge from 'node-forge'
import { beforeEach, describe, expect, test } from 'vitest'
import { pemBlocks } from '../../../certs/pem.ts'
import { javaPassword, javaTruststore } from '../../../certs/trust/java-truststore.ts'
import { type KeyKind, makeAuthority, makeKey } from '../../support/pki.ts'
import { missing } from '../../support/programs.ts'

const run = promisify(execFile)
const kinds: readonly KeyKind[] = ['p256', 'p384', 'ed25519', 'rsa2048']
const roots = kinds.map((kind) => makeAuthority({ key: makeKey(kind) }).certificate)
const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex')

/** In the signature of the first certificate, which whoever reads a store takes as it is. */
function damaged(store: Uint8Array): Uint8Array {
  const [first = new Uint8Array()] = roots
  const copy = Buffer.from(store)
  const last = copy.indexOf(first) + first.length - 1
  copy.writeUInt8(copy.readUInt8(last) ^ 1, last)
  return copy
}

describe('javaTruststore', () => {
  test('is refused with another password, and when it is damaged', async () => {
    const store = await javaTruststore(roots)
    const openWith = (pfx: Uint8Array, passphrase: string) => () =>
      createSecureContext({ pfx: Buffer.from(pfx), passphrase })
    expect(openWith(store, 'changed')).toThrow('mac verify failure')
    expect(openWith(damaged(store), javaPassword)).toThrow('mac verify failure')
    expect(openWith(store, javaPassword)).not.toThrow('mac verify failure')
  })

  test('holds every certificate octet for octet, whatever its key, under a name of its own', async () => {
    const store = forge.asn1.fromDer(Buffer.from(await javaTruststore(roots)).toString('latin1'))
    const { safeContents } = forge.pkcs12.pkcs12FromAsn1(store, javaPassword)
    const bags = safeContents.flatMap(({ safeBags }) => safeBags)
    expect(bags.map(({ attributes }) => attributes.friendlyName)).toEqual(roots.map((_, number) => [`root-${number}`]))
    const certificates = bags.map(({ asn1, cert }) =>
      forge.asn1.toDer(cert ? forge.pki.certificateToAsn1(cert) : (asn1 as forge.asn1.Asn1)).toHex(),
    )
    expect(certificates).toEqual(roots.map(hex))
  })

  test('is a store also when nothing is trusted', async () => {
    const store = forge.asn1.fromDer(Buffer.from(await javaTruststore([])).toString('latin1'))
    expect(forge.pkcs12.pkcs12FromAsn1(store, javaPassword).safeContents).toMatchObject([{ safeBags: [] }])
  })
})

const left = missing("Java's keytool", ['keytool', '-help'])

describe.skipIf(left !== undefined)(`keytool${left === undefined ? '' : ` (left out: ${left})`}`, () => {
  let path: string
  beforeEach(async () => {
    const directory = await mkdtemp(join(tmpdir(), 'postern-java-'))
    path = join(directory, 'truststore.p12')
    return () => rm(directory, { recursive: true, force: true })
  })
  const list = () =>
    run('keytool', ['-J-Duser.language=en', '-list', '-rfc', '-keystore', path, '-storepass', javaPassword])

  test('refuses a damaged store', async () => {
    await writeFile(path, damaged(await javaTruststore(roots)))
    // Java's releases word it differently.
    const reason = expect.stringMatching(/integrity|password was incorrect/i)
    await expect(list()).rejects.toMatchObject({ stdout: reason })
  })

  test('finds each certificate in its default type of store, trusted', async () => {
    const all = [...roots, ...rootCertificates.flatMap(pemBlocks).map(({ der }) => der)]
    await writeFile(path, await javaTruststore(all))
    const { stdout } = await list()
    expect(stdout).toContain('Keystore type: PKCS12')
    expect(stdout.match(/^Entry type: trustedCertEntry$/gm)).toHaveLength(all.length)
    expect(
      pemBlocks(stdout)
        .map(({ der }) => hex(der))
        .sort(),
    ).toEqual(all.map(hex).sort())
  })
})
