// Whether variables lead to the authority of a certificate: real files, as the proxy leaves them, and others.
import { X509Certificate } from 'node:crypto'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { appending, replacing } from '../../../certs/trust/variables.ts'
import { writeTrustFiles } from '../../../certs/trust-files.ts'
import { lookThrough } from '../../../cli/doctor/trust.ts'
import { makeAuthority, makeServerCertificate } from '../../support/pki.ts'

const ours = makeAuthority()
const leaf = new X509Certificate(makeServerCertificate(ours, ['postern.internal']).cert)

describe('the variables of trust', () => {
  let folder = ''
  let environment: Readonly<Record<string, string>> = {}
  const inFolder = (name: string) => join(folder, name)
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'postern-trust-'))
    environment = (await writeTrustFiles({ directory: folder, caPem: ours.pem })).environment
    await writeFile(inFolder('other.pem'), makeAuthority().pem)
    await writeFile(inFolder('broken.pem'), '-----BEGIN CERTIFICATE-----\nno\n')
    // Of the same name and with another key: only the signature tells.
    await writeFile(inFolder('forged.pem'), makeAuthority({ subject: ours.name }).pem)
  })
  afterAll(() => rm(folder, { recursive: true }))

  it('as the proxy leaves them all lead to it', async () => {
    expect(await lookThrough(environment, leaf)).toEqual({ missing: [], astray: [] })
  })

  it('are missing where they are not set, or empty', async () => {
    const { missing, astray } = await lookThrough({ ...environment, PIP_CERT: '', SSL_CERT_DIR: undefined }, leaf)
    expect([missing, astray]).toEqual([['PIP_CERT', 'SSL_CERT_DIR'], []])
    expect((await lookThrough({}, leaf)).missing).toHaveLength(replacing.length + appending.length + 3)
  })

  it.each(['other.pem', 'broken.pem', 'forged.pem', 'missing.pem', ''])(
    'go astray where they lead to %j',
    async (name) => {
      const { astray } = await lookThrough({ ...environment, CURL_CA_BUNDLE: inFolder(name) }, leaf)
      expect(astray).toEqual(name === '' ? [] : ['CURL_CA_BUNDLE'])
    },
  )

  it('may name several folders, one of which is enough', async () => {
    const SSL_CERT_DIR = `/none:${environment.SSL_CERT_DIR}`
    expect((await lookThrough({ ...environment, SSL_CERT_DIR }, leaf)).astray).toEqual([])
  })

  it('of wget count by the last of its settings', async () => {
    const settings = `${await readFile(environment.SYSTEM_WGETRC ?? '', 'utf8')}ca_certificate = ${inFolder('other.pem')}\n`
    await writeFile(inFolder('wgetrc'), settings)
    expect((await lookThrough({ ...environment, SYSTEM_WGETRC: inFolder('wgetrc') }, leaf)).astray).toEqual([
      'SYSTEM_WGETRC',
    ])
  })

  it('of Java name a truststore that is there, with spaces in its path too', async () => {
    const astray = async (options: string) =>
      (await lookThrough({ ...environment, JAVA_TOOL_OPTIONS: options }, leaf)).astray
    expect(await astray('-Xmx1g -Djavax.net.ssl.trustStore=/none.p12')).toEqual(['JAVA_TOOL_OPTIONS'])
    await writeFile(inFolder('trust store.p12'), '')
    expect(await astray(`"-Djavax.net.ssl.trustStore=${inFolder('trust store.p12')}" -Da=b`)).toEqual([])
  })
})
