// The pod's authority: what its certificate says, and that its key stays inside.
import 'reflect-metadata'
import { X509Certificate } from 'node:crypto'
import { inspect } from 'node:util'
import * as peculiar from '@peculiar/x509'
import { describe, expect, test } from 'vitest'
import { PodAuthority } from '../../certs/pod-authority.ts'

const now = Date.parse('2026-03-01T12:00:00Z')

describe('PodAuthority', () => {
  test('its key shows in no form of the object', () => {
    const authority = new PodAuthority({ now: () => now })
    const shown = `${inspect(authority, { showHidden: true, depth: 20 })}${JSON.stringify(authority)}`
    expect(shown).not.toMatch(/KeyObject|PRIVATE/)
  })

  test('an authority of another process has another name, key and serial', () => {
    const one = new X509Certificate(new PodAuthority({ now: () => now }).certificate)
    const two = new X509Certificate(new PodAuthority({ now: () => now }).certificate)
    expect(one.subject).not.toBe(two.subject)
    expect(one.serialNumber).not.toBe(two.serialNumber)
    expect(one.publicKey.equals(two.publicKey)).toBe(false)
  })

  test('signs itself, as an authority that cannot make further ones, back-dated by five minutes', () => {
    const authority = new PodAuthority({ now: () => now, lifetime: 3_600_000 })
    const certificate = new X509Certificate(authority.certificatePem)
    expect(certificate.ca).toBe(true)
    expect(certificate.verify(certificate.publicKey)).toBe(true)
    expect(certificate.checkIssued(certificate)).toBe(true)
    expect(Date.parse(certificate.validFrom)).toBe(now - 5 * 60_000)
    expect(Date.parse(certificate.validTo)).toBe(authority.expiresAt)
    expect(authority.expiresAt).toBe(now + 3_600_000)
    expect(certificate.publicKey.asymmetricKeyDetails?.namedCurve).toBe('prime256v1')

    const parsed = new peculiar.X509Certificate(Buffer.from(authority.certificate))
    const constraints = parsed.getExtension(peculiar.BasicConstraintsExtension)
    expect([constraints?.ca, constraints?.pathLength, constraints?.critical]).toEqual([true, 0, true])
    const usage = parsed.getExtension(peculiar.KeyUsagesExtension)
    expect([usage?.usages, usage?.critical]).toEqual([
      peculiar.KeyUsageFlags.keyCertSign | peculiar.KeyUsageFlags.cRLSign,
      true,
    ])
  })
})
