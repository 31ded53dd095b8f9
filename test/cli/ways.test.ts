import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { loadConfig } from '../../proxy/config/load.ts'
import { agentId, agentsListener, openGate } from '../support/gate.ts'
import { httpsUpstream } from '../support/upstream.ts'
import { WireClient } from '../support/wire-client.ts'

it('a configuration that cannot be taken into use changes nothing, not even where names lead', async () => {
  const upstream = await httpsUpstream(['api.example'], (_request, response) => {
    response.setHeader('Connection', 'close')
    response.end('reached')
  })
  const destination = (name: string, host: string) =>
    `${name}: { hosts: [${host}], ports: [${upstream.port}], addresses: [127.0.0.0/8], ca: [ca.pem] }`
  const rule = (to: string, variable: string) =>
    `{ name: uses-${to}, allow: { agents: [${agentId}], to: ${to} }, use: key, inject: { placeholder: { env: ${variable} } } }`
  const configuration = (address: string, more: { destination: string; rule: string }) =>
    `resolve: { api.example: [${address}] }
destinations: { ${destination('api', 'api.example')}${more.destination} }
credentials: { key: { kind: env, variable: KEY, for: [api${more.destination === '' ? '' : ', other'}] } }
rules: [${rule('api', 'API_KEY')}${more.rule}]
`
  const environment = { KEY: 'canary' }
  await using gate = await openGate(agentsListener + configuration('127.0.0.1', { destination: '', rule: '' }), {
    files: { 'ca.pem': upstream.ca },
    environment,
  })
  try {
    const before = gate.gate.standIns
    const file = join(gate.folder, 'next.yaml')
    const good = configuration('10.0.0.1', {
      destination: `, ${destination('other', 'other.example')}`,
      rule: `, ${rule('other', 'OTHER_KEY')}`,
    })
    await writeFile(file, `version: 1\ntrustDomain: acme.example\n${good}`)
    const loaded = await loadConfig(file, environment)
    // One variable would have to hold the stand-ins of two destinations, which the loader would have found.
    const inject = { placeholder: { env: 'API_KEY' } }
    const next = { ...loaded, rules: loaded.rules.map((each) => ({ ...each, inject })) }
    expect(() => gate.gate.reload(next)).toThrow('two different stand-ins')
    expect(gate.gate.standIns).toEqual(before)

    await using client = await WireClient.open({ host: '127.0.0.1', port: gate.port() })
    await client.tunnel(`api.example:${upstream.port}`)
    await client.secure({ ca: gate.gate.caPem, servername: 'api.example' })
    const answer = await client.request(['GET / HTTP/1.1', `Host: api.example:${upstream.port}`])
    expect(answer.text).toBe('reached')
  } finally {
    await upstream.close()
  }
})
