import { execFile } from 'node:child_process'
import { readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { describe, expect, it } from 'vitest'
import { agentId, agentsListener, openGate } from '../support/gate.ts'
import { httpsUpstream } from '../support/upstream.ts'

const run = promisify(execFile)

describe('a proxy that does not start its agents', () => {
  it('leaves them what they must trust, and the variables that say so', async () => {
    const upstream = await httpsUpstream(['api.example'], (_request, response) => response.end('through'))
    await using gate = await openGate(
      `${agentsListener}trust: { directory: ./shared }
resolve: { api.example: [127.0.0.1] }
destinations: { api: { hosts: [api.example], ports: [${upstream.port}], addresses: [127.0.0.0/8], ca: [ca.pem] } }
rules: [{ name: reads, allow: { agents: [${agentId}], to: api } }]
`,
      { files: { 'ca.pem': upstream.ca } },
    )
    try {
      const trust = join(gate.folder, 'shared', 'trust')
      expect(await readFile(join(trust, 'ca.pem'), 'utf8')).toBe(gate.gate.caPem)
      expect((await stat(trust)).mode & 0o777).toBe(0o755)
      const program = `fetch('https://api.example:${upstream.port}/').then((answer) => answer.text()).then(console.log)`
      const { stdout } = await run(
        'sh',
        ['-c', `set -a; . ${join(trust, 'agent.env')}; exec "$0" -e "${program}"`, process.execPath],
        {
          env: {
            PATH: process.env.PATH,
            NODE_USE_ENV_PROXY: '1',
            HTTPS_PROXY: `http://127.0.0.1:${gate.port()}`,
          },
        },
      )
      expect(stdout).toBe('through\n')
    } finally {
      await upstream.close()
    }
  })
})
