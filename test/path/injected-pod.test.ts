// What the injector puts into a pod in explicit mode, and what the proxy leaves there, fit together.
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { describe, expect, it } from 'vitest'
import { mutate } from '../../deploy/injector/mutate.ts'
import { injectorSettingsSchema } from '../../deploy/injector/settings.ts'
import { namespace, pod } from '../deploy/injector/pods.ts'
import { agentId, agentsListener, openGate } from '../support/gate.ts'
import { httpsUpstream } from '../support/upstream.ts'

const run = promisify(execFile)

describe('an agent in an injected pod, in explicit mode', () => {
  it('reaches what a rule allows through the proxy, by its variables alone, and never holds the credential', async () => {
    const upstream = await httpsUpstream(['api.example'], (request, response) =>
      response.end(`got ${request.headers.authorization === 'Bearer the-key-of-the-proxy' ? 'the key' : 'no key'}`),
    )
    await using gate = await openGate(
      `${agentsListener}trust: { directory: ./shared }
resolve: { api.example: [127.0.0.1] }
destinations: { api: { hosts: [api.example], ports: [${upstream.port}], addresses: [127.0.0.0/8], ca: [ca.pem] } }
credentials: { key: { kind: file, path: key, for: [api] } }
rules: [{ name: reads, allow: { agents: [${agentId}], to: api }, use: key, inject: bearer }]
`,
      { files: { 'ca.pem': upstream.ca, key: 'the-key-of-the-proxy' } },
    )
    try {
      const settings = injectorSettingsSchema.parse({
        trustDirectory: join(gate.folder, 'shared'),
        ports: { explicit: gate.port() },
      })
      const outcome = mutate(pod(), namespace({ mode: 'explicit' }), settings)
      if (outcome.kind !== 'injected') throw new Error(JSON.stringify(outcome))
      const variables = outcome.pod.spec.containers[0]?.env ?? []
      const env = Object.fromEntries(variables.map(({ name, value }) => [name, value ?? '']))
      expect(JSON.stringify(env)).not.toContain('the-key-of-the-proxy')
      const program = `fetch('https://api.example:${upstream.port}/').then((answer) => answer.text()).then(console.log)`
      const { stdout } = await run(process.execPath, ['-e', program], { env })
      expect(stdout).toBe('got the key\n')
    } finally {
      await upstream.close()
    }
  })
})
