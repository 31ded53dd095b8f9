import { describe, expect, it } from 'vitest'
import { injectProblem, injectSchema } from '../../../proxy/inject/settings.ts'

describe('the inject key', () => {
  it.each([
    'bearer',
    'basic',
    'agent',
    'placeholder',
    { header: 'X-Api-Key' },
    { header: 'Authorization', prefix: 'Token ' },
    { query: 'api_key' },
    { cookie: 'sid' },
    { placeholder: {} },
    { placeholder: { in: { header: 'X-Api-Key' }, env: 'ANTHROPIC_API_KEY', shape: 'anthropic' } },
    { placeholder: { in: { query: 'key' }, env: ['A', 'B'], shape: 'my-key_' } },
  ])('can be %j', (value) => {
    expect(injectSchema.parse(value)).toEqual(value)
  })

  it.each([
    'Bearer',
    'none',
    { header: 'Host' },
    { header: 'content-length' },
    { header: 'Transfer-Encoding' },
    { header: 'Connection' },
    { header: 'Proxy-Authorization' },
    { header: 'Cookie' },
    { header: 'X Api Key' },
    { header: 'X-Key', prefix: 'a\r\nb' },
    { header: 'X-Key', prefix: ' ' },
    { query: 'a&b' },
    { query: '' },
    { cookie: 'a=b' },
    { header: 'X-Key', query: 'key' },
    { placeholder: { env: '1A' } },
    { placeholder: { env: [] } },
    { placeholder: { shape: 'open-ai' } },
    { placeholder: { in: { cookie: 'a' } } },
    { placeholder: { in: { header: 'Host' } } },
  ])('cannot be %j', (value) => {
    expect(injectSchema.safeParse(value).success).toBe(false)
  })

  it('says of a wrong shape what would be right', () => {
    expect(injectSchema.safeParse('Bearer').error?.issues[0]?.message).toContain('bearer, basic, {header: …}')
  })

  it('goes with a credential, but for agent, which goes without', () => {
    expect(injectProblem(undefined, 'bearer')).toMatch(/`use` does not say which/)
    expect(injectProblem('crm-token', 'agent')).toMatch(/without `use`/)
    expect(injectProblem(undefined, 'agent')).toBeUndefined()
    expect(injectProblem(undefined, undefined)).toBeUndefined()
    expect(injectProblem('crm-token', undefined)).toBeUndefined()
    expect(injectProblem('crm-token', 'basic')).toBeUndefined()
  })
})
