// postern capture as far as it goes without rights: whoever has them tries it in test/pod.
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Workplace, workplace } from '../support/postern.ts'

const root = process.getuid?.() === 0
const nobody = { uid: 65_534, gid: 65_534 }

describe('postern capture', () => {
  let place: Workplace
  beforeAll(async () => {
    // Never with the rights of root: the rules would be those of this machine.
    place = await workplace({}, root ? nobody : undefined)
  })
  afterAll(() => place[Symbol.asyncDispose]())

  async function capture(...args: readonly string[]) {
    const run = place.start(['capture', ...args])
    return { code: await run.ended, out: run.out, errors: run.errors }
  }

  it.each([
    [['install'], 'required option'],
    [['install', '--uid', 'postern'], 'Not a whole number up to'],
    [['install', '--uid', '0'], 'user 0 cannot be the exempted one'],
    [['install', '--uid', '1337', '--port', '53'], 'port 53 is what is redirected'],
    [['install', '--uid', '1337', '--port', '15053'], 'so DNS needs another one'],
    [['install', '--uid', '1337', '--program', 'pf'], 'Allowed choices are nft'],
    [['verify', '--as', '-1'], 'Not a whole number up to'],
    [['flush'], 'unknown command'],
  ])('%j is wrong usage', async (args, said) => {
    const { code, errors } = await capture(...args)
    expect(errors).toContain(said)
    expect(code).toBe(64)
  })

  it
    .skipIf(process.platform !== 'linux')
    .each([[['install', '--uid', '1337']], [['remove']], [['status']], [['verify']]])(
    '%j without the capability, or a program, is an error with what to do',
    async (args) => {
      const { code, out, errors } = await capture(...args)
      expect(errors).toMatch(/it needs the capability NET_ADMIN in this network namespace|install the package nftables/)
      expect(out).toBe('')
      expect([69, 77]).toContain(code)
    },
  )

  it('a dry run prints the rules before it says what is missing', async ({ skip }) => {
    const { code, out, errors } = await capture('install', '--uid', '1337', '--dry-run')
    if (errors.includes('install the package')) return skip('neither nft nor iptables is installed here')
    expect(out).toMatch(/skuid 1337|--uid-owner 1337/)
    expect(errors).toContain('needs the capability NET_ADMIN')
    expect(code).toBe(77)
  })
})
