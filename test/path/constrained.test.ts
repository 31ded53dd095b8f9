// An authority that is for the hosts of the configuration alone, and what that means for a reload.
import { X509Certificate } from 'node:crypto'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, it, vi } from 'vitest'
import { loadConfig } from '../../proxy/config/load.ts'
import { agentId, agentsListener, openGate } from '../support/gate.ts'
import { httpsUpstream } from '../support/upstream.ts'
import { WireClient } from '../support/wire-client.ts'

it('agents trust it for what is configured; another host takes a new start, and the configuration in force stays', async () => {
  const upstream = await httpsUpstream(['api.example'], (_, response) => response.end('an answer'))
  const place = (hosts: string) =>
    `destinations: { api: { hosts: [${hosts}], ports: [${upstream.port}], addresses: [127.0.0.0/8], ca: [ca.pem] } }`
  await using gate = await openGate(
    `${agentsListener}trust: { directory: ./shared, constrain: true }
resolve: { api.example: [127.0.0.1] }
${place('api.example')}
rules: [{ name: reads, allow: { agents: [${agentId}], to: api } }]
`,
    { files: { 'ca.pem': upstream.ca } },
  )
  const call = async () => {
    await using client = await WireClient.open({ host: '127.0.0.1', port: gate.port() })
    await client.tunnel(`api.example:${upstream.port}`)
    await client.secure({ ca: gate.gate.caPem, servername: 'api.example' })
    return (await client.request(['GET / HTTP/1.1', `Host: api.example:${upstream.port}`])).status
  }
  try {
    expect(await call()).toBe(200)
    const ca = new X509Certificate(await readFile(join(gate.folder, 'shared', 'trust', 'ca.pem')))
    expect(ca.toString()).toBe(new X509Certificate(gate.gate.caPem).toString())

    const file = join(gate.folder, 'postern.yaml')
    const before = await readFile(file, 'utf8')
    await writeFile(file, before.replace(place('api.example'), place('api.example, other.example')))
    const other = await loadConfig(file, {})
    expect(() => gate.gate.reload(other)).toThrow(/trust\.constrain: .* not for other\.example; a new start/)
    await writeFile(file, before.replace(place('api.example'), place('api.example, v2.api.example')))
    gate.gate.reload(await loadConfig(file, {}))
    await vi.waitFor(async () => expect(await call()).toBe(200))
  } finally {
    await upstream.close()
  }
})
