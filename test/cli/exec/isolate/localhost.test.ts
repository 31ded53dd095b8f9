// Which ports of the machine's loopback a command behind its wall may be given.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { checkLocalhost } from '../../../../cli/exec/isolate/localhost.ts'
import { loadConfig } from '../../../../proxy/config/load.ts'
import type { Config } from '../../../../proxy/config/schema.ts'

let folder: string
let config: Config

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'localhost-'))
  const file = join(folder, 'postern.yaml')
  writeFileSync(
    file,
    `version: 1
trustDomain: acme.example
listen:
  - { name: agents, address: "127.0.0.1:8001", accept: http-proxy, callers: [] }
  - { name: socket, address: "unix:///run/agents.sock", accept: http-proxy, callers: [] }
dns: { listen: ["[::1]:8002"] }
admin: { metrics: "127.0.0.1:8003" }
destinations:
  named: { hosts: [localhost], protocol: http, ports: [8004] }
  numbered: { hosts: [127.0.0.1], protocol: http, ports: [8005, 8006] }
  elsewhere: { hosts: [api.example], protocol: http, ports: [8007] }
`,
  )
  config = await loadConfig(file, {})
})
afterAll(() => rmSync(folder, { recursive: true }))

const ofTheProxy = 'in the configuration, that is a port of the proxy itself'

describe('a port of the machine’s localhost is not given to a command', () => {
  it.each([
    ['where a listener of the configuration is', 8001, ofTheProxy],
    ['where the proxy answers DNS', 8002, ofTheProxy],
    ['where its metrics are', 8003, ofTheProxy],
    ['that a destination guards by name', 8004, 'the destination named is there'],
    ['that a destination guards by address', 8006, 'the destination numbered is there'],
    ['where the command finds the proxy', 15_002, 'the command finds the proxy there'],
  ])('%s', (_what, port, why) => {
    expect(() => checkLocalhost([8007, port], config)).toThrow(`--localhost ${port}: `)
    expect(() => checkLocalhost([port], config)).toThrow(why)
  })

  it('unless none of this is so', () => {
    expect(() => checkLocalhost([5432, 8007], config)).not.toThrow()
  })
})
