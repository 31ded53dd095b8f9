// git over HTTPS: clones, and pushes, with a token that it never had.
import { randomBytes } from 'node:crypto'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { execute } from '../support/execute.ts'
import { gitServer } from '../support/git-server.ts'
import { type Workplace, workplace } from '../support/postern.ts'
import { missing } from '../support/programs.ts'
import { recordsIn } from '../support/records.ts'
import type { HttpsUpstream } from '../support/upstream.ts'

const left = missing('git with its HTTP backend', ['sh', '-c', 'test -x "$(git --exec-path)/git-http-backend"'])
const token = 'canary-git-7f0a31c9'
const signIn = `Basic ${Buffer.from(`x-access-token:${token}`).toString('base64')}`
const who = ['-c', 'user.name=Ada', '-c', 'user.email=ada@acme.example', '-c', 'init.defaultBranch=main']

describe.skipIf(left !== undefined)(
  `git through postern exec${left === undefined ? '' : ` (left out: ${left})`}`,
  () => {
    let repositories: string
    let server: HttpsUpstream
    let place: Workplace

    beforeAll(async () => {
      repositories = await mkdtemp(join(tmpdir(), 'postern-git-'))
      const git = async (...argv: string[]) => {
        const { code, errors } = await execute('git', [...who, ...argv], { cwd: repositories })
        if (code !== 0) throw new Error(errors)
      }
      await git('init', '-q', 'seed')
      await writeFile(join(repositories, 'seed/README'), 'hello\n')
      // Enough that it is sent in many pieces.
      await writeFile(join(repositories, 'seed/big'), randomBytes(1 << 20))
      await git('-C', 'seed', 'add', '.')
      await git('-C', 'seed', 'commit', '-q', '-m', 'first')
      await git('clone', '-q', '--bare', 'seed', 'team.git')
      await git('-C', 'team.git', 'config', 'http.receivepack', 'true')
      server = await gitServer('git.example', repositories, signIn)
      place = await workplace({
        'ca.pem': server.ca,
        'postern.yaml': `version: 1
trustDomain: acme.example
exec: { agent: spiffe://acme.example/agent }
records: { to: ./records.jsonl }
resolve: { git.example: [127.0.0.1] }
destinations:
  git: { hosts: [git.example], ports: [${server.port}], addresses: [127.0.0.0/8], ca: [ca.pem] }
credentials:
  git-token: { kind: env, variable: GIT_TOKEN, username: x-access-token, for: [git] }
rules:
  - name: agent-works-on-the-repository
    allow: { agents: [spiffe://acme.example/agent], to: git, paths: [/team.git/**] }
    use: git-token
    inject: basic
`,
      })
    })
    afterAll(async () => {
      await place[Symbol.asyncDispose]()
      await server.close()
      await rm(repositories, { recursive: true, force: true })
    })

    async function git(...argv: readonly string[]) {
      const options = ['exec', '-c', 'postern.yaml', '--', 'git', ...who, '-c', 'credential.helper=', ...argv]
      const run = place.start(options, { GIT_TOKEN: token, GIT_TERMINAL_PROMPT: '0' })
      return { code: await run.ended, errors: run.errors }
    }
    const url = () => `https://git.example:${server.port}`

    test('a clone and a push work, and the token stays out of the working copy', async () => {
      const cloned = await git('clone', `${url()}/team.git`, 'copy')
      expect(cloned.errors).not.toContain('fatal')
      expect(cloned.code).toBe(0)
      expect(await readFile(join(place.path, 'copy/README'), 'utf8')).toBe('hello\n')
      expect(await readFile(join(place.path, 'copy/.git/config'), 'utf8')).not.toContain(token)

      // More than git keeps in memory, so that it sends it chunked.
      await writeFile(join(place.path, 'copy/big'), randomBytes(3 << 20))
      await git('-C', 'copy', 'add', '.')
      await git('-C', 'copy', 'commit', '-q', '-m', 'second')
      const pushed = await git('-C', 'copy', 'push', '-q', 'origin', 'main')
      expect(pushed.code).toBe(0)
      const log = await execute('git', ['-C', 'team.git', 'log', '--format=%s'], { cwd: repositories })
      expect(log.out).toBe('second\nfirst\n')

      const records = await recordsIn(join(place.path, 'records.jsonl'))
      // git sends the token of the run only when it was asked for it.
      const asked = records.filter(({ refusal }) => refusal?.reason === 'unidentified_caller')
      const requests = records.filter((record) => !asked.includes(record))
      expect(requests.every(({ outcome }) => outcome === 'allowed')).toBe(true)
      expect(requests.map(({ request }) => `${request?.method} ${request?.path}`)).toEqual([
        'GET /team.git/info/refs',
        'POST /team.git/git-upload-pack',
        'POST /team.git/git-upload-pack',
        'GET /team.git/info/refs',
        'POST /team.git/git-receive-pack',
        'POST /team.git/git-receive-pack',
      ])
    })

    test('another repository of the same server is refused', async () => {
      const { code, errors } = await git('clone', `${url()}/other.git`)
      expect(code).toBe(128)
      expect(errors).toContain('The requested URL returned error: 403')
    })
  },
)
