// Under Node's permission model: everything works, what is not needed is given up, and a configuration that would need it again is refused.
import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync, realpathSync } from 'node:fs'
import { readFile, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { parseTrustDomain } from '../../certs/spiffe-id.ts'
import { WorkloadApiSource } from '../../certs/workload-api/source.ts'
import { native } from '../../proxy/identify/kernel/native.ts'
import { agentId, agentsListener } from '../support/gate.ts'
import { type Postern, type Workplace, workplace } from '../support/postern.ts'
import { recordsIn } from '../support/records.ts'
import { reasonOf } from '../support/through.ts'
import { type HttpsUpstream, httpsUpstream, httpUpstream, type Upstream } from '../support/upstream.ts'
import { WireClient } from '../support/wire-client.ts'

const loaded = native()
const why = 'missing' in loaded ? loaded.missing : undefined

/** As the launcher starts another Node, and as the documents say. */
const launcher = readFileSync(fileURLToPath(new URL('../../cli/postern.js', import.meta.url)), 'utf8')
const flags = [...(/const narrowed = \[(.*?)\]/s.exec(launcher)?.[1] ?? '').matchAll(/'([^']+)'/g)].map(
  ([, flag = '']) => flag,
)

let login: HttpsUpstream
let upstream: Upstream
let seen: (string | undefined)[] = []
beforeAll(async () => {
  login = await httpsUpstream(['127.0.0.1'], (message, response) => {
    message.resume()
    response.setHeader('Content-Type', 'application/json')
    const token = { access_token: 'access-1', token_type: 'Bearer', expires_in: 300, refresh_token: 'refresh-2' }
    response.end(JSON.stringify(token))
  })
  upstream = await httpUpstream((message, response) => {
    seen.push(message.headers.authorization)
    response.end('contacts')
  })
})
afterAll(() => Promise.all([login.close(), upstream.close()]))

async function call(run: Postern, path: string) {
  await using client = await WireClient.open({ host: '127.0.0.1', port: await run.port() })
  const authority = `localhost:${upstream.port}`
  return await client.request([`GET http://${authority}${path} HTTP/1.1`, `Host: ${authority}`])
}

const start = (place: Workplace, environment: Record<string, string> = {}, options = flags) =>
  place.start(['run'], environment, [process.execPath, ...options])

const configuration = (more: string, credentials: string, rules: string) => `version: 1
trustDomain: acme.example
${agentsListener}${more}
resolve: { localhost: [127.0.0.1] }
destinations:
  crm: { hosts: [localhost], protocol: http, ports: [${upstream.port}], addresses: [127.0.0.0/8] }
credentials:
${credentials}
rules:
${rules}
`
const rule = (name: string, path: string, credential: string) =>
  `  - { name: ${name}, allow: { agents: [${agentId}], to: crm, paths: [${path}] }, use: ${credential} }`
const envCredential = (variable: string) => `  key: { kind: env, variable: ${variable}, for: [crm] }`
const execCredential = `  key: { kind: exec, command: [/bin/sh, -c, 'echo "{\\"secret\\":\\"key-\${NODE_OPTIONS-none}\\"}"'], for: [crm] }`

it('is switched on by the same options in the launcher, the image and the documents', () => {
  const page = (path: string) => readFileSync(fileURLToPath(new URL(`../../${path}`, import.meta.url)), 'utf8')
  const entrypoint = /^ENTRYPOINT (\[.*?\])$/ms.exec(page('Dockerfile'))?.[1] ?? '[]'
  expect(JSON.parse(entrypoint.replaceAll('\\\n', ''))).toEqual([
    '/usr/bin/node',
    ...flags,
    '/usr/lib/postern/cli/postern.js',
  ])
  const command = /^node (--permission .*?)\/usr/ms.exec(page('docs/operations.md'))?.[1] ?? ''
  expect(command.replaceAll(/['\\]/g, '').trim().split(/\s+/)).toEqual(flags)
})

describe.skipIf(why !== undefined)(
  `a proxy under the permission model${why === undefined ? '' : ` (skipped: ${why})`}`,
  () => {
    it('keeps what the configuration needs: commands, files, sockets, all of them in order', async () => {
      seen = []
      await using place = await workplace({ 'login.pem': login.ca, 'refresh-token': 'refresh-1' })
      const { path } = place
      const identity = `identity: { source: embedded, socket: "unix://${path}/id/api.sock", workloads: [{ id: "${agentId}", executable: "${realpathSync(process.execPath)}" }] }`
      const refreshed = `  refreshed: { kind: oauth2-refresh-token, tokenEndpoint: "https://127.0.0.1:${login.port}/token", ca: [login.pem], addresses: [127.0.0.0/8], client: { id: postern, auth: client_secret_post, secret: "\${env:CLIENT_SECRET}" }, refreshTokenFile: refresh-token, for: [crm] }`
      const kept = `records: { to: ./records.jsonl, durability: intent }\nadmin: { socket: ./admin/postern.sock }\n${identity}`
      const rules = `${rule('by-command', '/command', 'key')}\n${rule('by-refresh', '/refresh', 'refreshed')}`
      await writeFile(join(path, 'postern.yaml'), configuration(kept, `${execCredential}\n${refreshed}`, rules))
      const run = start(place, { CLIENT_SECRET: 'canary-client' })
      expect((await run.told('ready')).permissions).toEqual(['fs.read', 'fs.write', 'net', 'child', 'ffi'])

      // A command of the configuration is not put under the permission model of the proxy.
      expect((await call(run, '/command')).status).toBe(200)
      expect((await call(run, '/refresh')).status).toBe(200)
      expect(seen).toEqual(['Bearer key-none', 'Bearer access-1'])
      expect(await readFile(join(path, 'refresh-token'), 'utf8')).toContain('refresh-2')

      const address = { kind: 'unix', path: join(path, 'id/api.sock') } as const
      const workload = await WorkloadApiSource.open({
        address,
        trustDomain: parseTrustDomain('acme.example'),
        now: Date.now,
        onProblem: () => {},
      })
      await vi.waitFor(() => expect(workload.svid().id).toBe(agentId))
      workload.close()

      const order = place.start(['kill', '--agent', agentId, '--reason', 'enough', '--socket', 'admin/postern.sock'])
      expect(await order.ended).toBe(0)
      expect(reasonOf(await call(run, '/command'))).toBe('revoked')
      expect(await readFile(join(path, 'admin/stops.jsonl'), 'utf8')).toContain('enough')

      run.child.kill('SIGTERM')
      expect(await run.ended).toBe(0)
      const records = await recordsIn(join(path, 'records.jsonl'))
      expect(records.map(({ kind }) => kind)).toEqual(expect.arrayContaining(['intent', 'request', 'stop']))
      // The sockets are gone, and no warning of Node's stands among what the proxy says.
      for (const left of ['id/api.sock', 'admin/postern.sock', '.records.jsonl.lock'])
        expect([left, existsSync(join(path, left))]).toEqual([left, false])
      expect(run.errors.split('\n').filter((line) => line !== '' && !line.startsWith('{'))).toEqual([])
    })

    it('gives up commands and writing where nothing needs them, and takes no configuration that would', async () => {
      seen = []
      const rules = rule('by-key', '/**', 'key')
      const first = configuration('', envCredential('FIRST'), rules)
      await using place = await workplace({ 'postern.yaml': first })
      const run = start(place, { FIRST: 'key-1', SECOND: 'key-2' })
      expect((await run.told('ready')).permissions).toEqual(['fs.read', 'net', 'ffi'])
      expect((await call(run, '/')).status).toBe(200)

      const replace = async (content: string) => {
        await writeFile(join(place.path, 'next'), content)
        await rename(join(place.path, 'next'), join(place.path, 'postern.yaml'))
      }
      await replace(configuration('', execCredential, rules))
      const { problem } = await run.told('the configuration is not in use; the one before stays')
      expect(problem).toBe('credentials.key needs child: the proxy has given that up, and gets it again by a new start')
      expect((await call(run, '/')).status).toBe(200)

      await replace(configuration('', envCredential('SECOND'), rules))
      await run.told('the configuration is in use')
      expect((await call(run, '/')).status).toBe(200)
      expect(seen).toEqual(['Bearer key-1', 'Bearer key-1', 'Bearer key-2'])

      run.child.kill('SIGTERM')
      expect(await run.ended).toBe(0)
      expect(run.out.match(/"kind":"request"/g)).toHaveLength(3)
    })

    it('does not start with fewer rights than its configuration needs', async () => {
      await using place = await workplace({
        'postern.yaml': configuration('', execCredential, rule('by-key', '/**', 'key')),
      })
      const few = flags.filter((flag) => !/child|ffi/.test(flag))
      const run = start(place, {}, few)
      expect(await run.ended).toBe(78)
      expect(run.errors).toContain(
        'started with too few rights: the proxy needs --allow-ffi; credentials.key needs --allow-child-process.',
      )
    })

    const old = '/usr/bin/node'
    const version = spawnSync(old, ['-p', 'process.versions.node'], { encoding: 'utf8' }).stdout ?? ''
    const isOld = Number.parseInt(version, 10) >= 20 && Number.parseInt(version, 10) < 24
    it.skipIf(!isOld)(
      `is what the launcher starts for run, where it starts another Node.js${isOld ? '' : ' (skipped: there is no older one here)'}`,
      async () => {
        await using place = await workplace({
          'postern.yaml': configuration('', envCredential('KEY'), rule('by-key', '/**', 'key')),
        })
        const run = place.start(['run'], { KEY: 'key-1' }, [old])
        expect((await run.told('ready')).permissions).toEqual(['fs.read', 'net', 'ffi'])
        // One that stays hands it on.
        run.child.kill('SIGTERM')
        expect(await run.ended).toBe(0)
      },
    )
  },
)
