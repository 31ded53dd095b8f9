// The same wall by iptables, where there is no nft: what the kernel does must not depend on who told it.
import { chmod, mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { missing } from '../support/programs.ts'
import { addresses, users } from './addresses.ts'
import { whyNot } from './namespaces.ts'
import { program, SimulatedPod } from './simulated.ts'

const { api, evil, evil6, metadata, metadata6 } = addresses
const reason = whyNot() ?? missing('Python', ['/usr/bin/python3', '-c', 'import ssl'])
if (reason !== undefined) console.log(`The simulated pod is left out: ${reason}.`)

describe.skipIf(reason !== undefined).each(['iptables-nft', 'iptables-legacy'])('by %s', (name) => {
  const lacking = reason ?? missing(name, [name, '--version'])
  if (lacking !== undefined) console.log(`The rules by ${name} are left out: ${lacking}.`)

  describe.skipIf(lacking !== undefined)('in the pod', () => {
    let pod: SimulatedPod

    beforeAll(async () => {
      pod = await SimulatedPod.make()
    })
    afterAll(async () => {
      await pod?.[Symbol.asyncDispose]()
    })

    // The older program opens a raw socket.
    const capture = (...args: readonly string[]) => pod.captureWith('net_admin,+net_raw', ...args, '--program', name)

    it('what is put there half is taken back', async () => {
      const folder = join(pod.path, 'broken')
      await mkdir(folder)
      // One family is refused once both have been tried.
      const script = `#!/bin/sh\ncase "$*" in *--test*) exec /usr/sbin/${name}-restore "$@";; esac\necho 'iptables: broken' >&2; exit 1\n`
      await writeFile(join(folder, `${name}-restore`), script)
      await chmod(join(folder, `${name}-restore`), 0o755)
      const command = `PATH=${folder}:/usr/sbin:/usr/bin:/bin exec ${process.execPath} ${program} capture install --uid 1337 --program ${name}`
      expect(() => pod.privileged(['sh', '-c', command])).toThrow('those of before are back')
      expect((await capture('status')).out).toContain('No rules of ours are in force')
      expect(await pod.attempt('udp', evil, 443)).toBe('sent')
    })

    it('the rules are in force, twice the same, and verify finds nothing', async () => {
      expect(await capture('install', '--uid', '1337')).toMatchObject({ code: 0, errors: '' })
      expect((await capture('install', '--uid', '1337')).out).toContain('in force already')
      await pod.startProxy()
      const { code, out } = await capture('verify', '--as', String(users.agent))
      expect(out).toContain('gets past the proxy.')
      expect(code).toBe(0)
    })

    it.each([
      ['TCP', ['tcp', evil, 443], /^(ECONNRESET|answered b'')$/],
      ['TCP over IPv6', ['tcp', evil6, 443], /^(ECONNRESET|answered b'')$/],
      ['QUIC', ['udp', evil, 443], /^EPERM$/],
      ['UDP over IPv6', ['udp', evil6, 9_999], /^EPERM$/],
      ['ping', ['ping', evil], /^EPERM$/],
      ['the metadata address', ['tcp', metadata, 80], /^ECONNREFUSED$/],
      ['the metadata address over IPv6', ['tcp', metadata6, 80], /^ECONNREFUSED$/],
      ['DNS', ['dns', evil, 'forbidden.example', 1], /^code 3, 0 answers$/],
      ['DNS over IPv6', ['dns', evil6, 'forbidden.example', 28], /^code 3, 0 answers$/],
    ] as const)('%s gets nowhere', async (_what, [attempt, ...args], got) => {
      pod.reached()
      expect(await pod.attempt(attempt, ...args)).toMatch(got)
      expect(pod.reached()).toEqual([])
    })

    it('a call that is allowed gets its credential', async () => {
      const { out, errors } = await pod.agent(['curl', '-sS', '--max-time', '10', 'https://api.example/v1/a'])
      expect(out, errors).toContain('from outside')
      expect(await pod.record(({ request }) => request?.path === '/v1/a')).toMatchObject({
        connection: { original: { address: api, port: 443 } },
        caller: { uid: users.agent },
      })
    })

    it('attempts are counted, and the rules go without a trace', async () => {
      expect(JSON.parse((await capture('status', '--json')).out)).toMatchObject({
        rules: 'in force',
        counts: { quic: 3 },
      })
      expect((await capture('remove')).code).toBe(0)
      expect(pod.privileged([`${name}-save`])).not.toMatch(/POSTERN/)
      expect(pod.privileged([`${name.replace('ip', 'ip6')}-save`])).not.toMatch(/POSTERN/)
    })
  })
})
