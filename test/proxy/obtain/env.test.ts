import { expect, it } from 'vitest'
import { EnvProvider } from '../../../proxy/obtain/env.ts'
import { refusalOf } from './world.ts'

function provider(environment: Record<string, string>, username?: string): EnvProvider {
  return new EnvProvider(
    'crm-key',
    { kind: 'env', for: ['crm'], variable: 'CRM_KEY', username, ttl: undefined },
    { environment },
  )
}

it('refuses a variable that is not set, and names it', async () => {
  const refusal = await refusalOf(provider({}).obtain())
  expect(refusal.reason).toBe('credential_unavailable')
  expect(refusal.detail).toBe('the environment variable CRM_KEY is not set')
})

it('refuses an empty variable as one that is not set', async () => {
  expect((await refusalOf(provider({ CRM_KEY: '' }).obtain())).detail).toContain('CRM_KEY is not set')
})

it('refuses a value that would break a header, and does not repeat it', async () => {
  const refusal = await refusalOf(provider({ CRM_KEY: 'abc\ndef' }).obtain())
  expect(refusal.reason).toBe('credential_unavailable')
  expect(refusal.message).not.toContain('abc')
})

it('gives the value, the user name, and no end', async () => {
  const lease = await provider({ CRM_KEY: 's3cret' }, 'robot').obtain()
  expect(lease.secret.reveal()).toBe('s3cret')
  expect(lease).toMatchObject({ credential: 'crm-key', kind: 'env', username: 'robot', expiresAt: undefined })
})
