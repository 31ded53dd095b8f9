// Readiness follows the identity, also where nothing but time passes.
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test, vi } from 'vitest'
import { FileSource } from '../../../certs/file-source.ts'
import { certificatePem } from '../../../certs/pem.ts'
import { parseTrustDomain } from '../../../certs/spiffe-id.ts'
import { followIdentity } from '../../../cli/wire/identity.ts'
import { Readiness } from '../../../proxy/record/readiness.ts'
import { keyPem, makeAuthority, makeSvid } from '../../support/pki.ts'

test('an SVID from files that expires while nobody writes another makes the proxy not ready', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'postern-identity-'))
  const { chain, key } = makeSvid(makeAuthority(), 'spiffe://acme.example/postern')
  const [certificate, keyFile] = [join(folder, 'svid.pem'), join(folder, 'key.pem')]
  await writeFile(certificate, chain.map(certificatePem).join(''))
  await writeFile(keyFile, keyPem(key))
  let now = Date.now()
  const source = await FileSource.open({
    identity: { certificate, key: keyFile },
    bundles: new Map(),
    trustDomain: parseTrustDomain('acme.example'),
    now: () => now,
    onProblem: () => {},
  })
  const stopped = new AbortController()
  try {
    const readiness = new Readiness(['identity'])
    followIdentity(source, readiness, stopped.signal, 10)
    expect(readiness.isReady).toBe(true)
    now = source.svid().expiresAt + 1
    await vi.waitFor(() => expect(readiness.reasons).toEqual([{ check: 'identity', why: 'the identity has expired' }]))
    now -= 1_000
    await vi.waitFor(() => expect(readiness.isReady).toBe(true))
  } finally {
    stopped.abort()
    source.close()
    await rm(folder, { recursive: true })
  }
})
