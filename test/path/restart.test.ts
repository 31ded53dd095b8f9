// The proxy ends and is started again under agents that run on, as a container that the kubelet restarts.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, statfs } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { describe, expect, it, test } from 'vitest'
import { agentId, openGate } from '../support/gate.ts'
import { httpsUpstream } from '../support/upstream.ts'

const isInMemory = await statfs('/dev/shm').then(
  ({ type }) => type === 0x01_02_19_94,
  () => false,
)

/** Reads what to trust once, when it starts, and asks whenever it is told to. */
const agent = `
import { createInterface } from 'node:readline'
for await (const url of createInterface({ input: process.stdin }))
  await fetch(url).then((answer) => answer.text()).then(console.log, (error) => console.log(error.cause?.code ?? error.cause?.message))
`

async function asked(key: string): Promise<readonly string[]> {
  const upstream = await httpsUpstream(['api.example'], (_, response) => response.end('an answer'))
  const config = (port: number) => `listen:
  - { name: agents, address: "127.0.0.1:${port}", accept: http-proxy, callers: [kernel], uids: { "${process.getuid?.() ?? 0}": ${agentId} } }
trust: { directory: ./shared${key} }
resolve: { api.example: [127.0.0.1] }
destinations: { api: { hosts: [api.example], ports: [${upstream.port}], addresses: [127.0.0.0/8], ca: [ca.pem] } }
rules: [{ name: reads, allow: { agents: [${agentId}], to: api } }]
`
  const files = { files: { 'ca.pem': upstream.ca } }
  const before = await openGate(config(0), files)
  const port = before.port()
  const env = {
    HTTPS_PROXY: `http://127.0.0.1:${port}`,
    NODE_USE_ENV_PROXY: '1',
    NODE_EXTRA_CA_CERTS: join(before.folder, 'shared', 'trust', 'ca.pem'),
  }
  const child = spawn(process.execPath, ['--input-type=module', '-e', agent], {
    env,
    stdio: ['pipe', 'pipe', 'ignore'],
  })
  const answers = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  const ask = async () => {
    child.stdin.write(`https://api.example:${upstream.port}/\n`)
    return String((await answers.next()).value)
  }
  try {
    const first = await ask()
    await before[Symbol.asyncDispose]()
    const between = await ask()
    await using _after = await openGate(config(port), files)
    return [first, between, await ask()]
  } finally {
    child.kill()
    await once(child, 'exit')
    await upstream.close()
  }
}

test.skipIf(isInMemory)('skipped: no file system in memory at /dev/shm', () => {})

describe.skipIf(!isInMemory)('a restart under running agents', () => {
  it('with the key of the authority kept, they go on where they stopped', async () => {
    const folder = await mkdtemp('/dev/shm/postern-restart-')
    try {
      const answers = await asked(`, key: ${folder}/private/authority.key`)
      expect(answers).toEqual(['an answer', 'ECONNREFUSED', 'an answer'])
    } finally {
      await rm(folder, { recursive: true, force: true })
    }
  })

  it('without it, they do not take the new authority for the old one', async () => {
    const [, , after] = await asked('')
    expect(after).not.toBe('an answer')
    expect(after).toMatch(/SELF_SIGNED|UNABLE_TO_VERIFY|signature/)
  })
})
