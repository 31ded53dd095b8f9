// Settings of the injector that would not do what they say.
import { describe, expect, it } from 'vitest'
import { injectorSettingsSchema } from '../../../deploy/injector/settings.ts'

describe('the certificate that the injector makes itself', () => {
  const read = (lifetime: string, settle: string) =>
    injectorSettingsSchema.safeParse({ certificate: { source: 'self-signed', lifetime, settle } })

  it('may be as short as a rotation needs', () => {
    expect(read('51s', '2s').success).toBe(true)
    expect(read('225s', '60s').success).toBe(true)
  })

  it('is refused where it would expire before the next is shown', () => {
    const { error } = read('50s', '2s')
    expect(error?.issues[0]).toMatchObject({ path: ['certificate', 'lifetime'] })
    expect(error?.issues[0]?.message).toMatch(/^too short: .* three times settle and 15 s at least$/)
  })
})
