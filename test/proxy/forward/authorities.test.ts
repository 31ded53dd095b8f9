// Whom an upstream may be certified by: what Node trusts by itself, and the authorities that the destination names beside that.
import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { expect, it } from 'vitest'
import { makeAuthority, makeServerCertificate } from '../../support/pki.ts'

const connector = fileURLToPath(new URL('../../../proxy/forward/connector.ts', import.meta.url))

/** In a process of its own, since Node reads what it trusts once. */
const program = `
import { readFileSync } from 'node:fs'
import { Connector } from ${JSON.stringify(connector)}
const [named, ...ports] = process.argv.slice(1)
const ca = named === '' ? [] : [readFileSync(named, 'utf8')]
const connector = new Connector({ addresses: ['127.0.0.0/8'], ca, patience: 5_000 }, async () => ['127.0.0.1'], () => false)
for (const port of ports)
  await connector.connect({ scheme: 'https', host: 'api.example', port: Number(port) }).then(
    (socket) => { console.log('trusted'); socket.destroy() },
    (error) => console.log(error.reason),
  )
`

it('names several in one file, and takes no other away', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'postern-authorities-'))
  const authorities = Array.from({ length: 4 }, () => makeAuthority())
  const servers = authorities.map((authority) =>
    createServer(makeServerCertificate(authority, ['api.example']), (_, response) => response.end()).listen(
      0,
      '127.0.0.1',
    ),
  )
  try {
    await Promise.all(servers.map((server) => once(server, 'listening')))
    const ports = servers.map((server) => String((server.address() as AddressInfo).port))
    const [usual, first, second] = authorities.map(({ pem }) => pem)
    await writeFile(join(folder, 'usual.pem'), usual ?? '')
    await writeFile(join(folder, 'named.pem'), `Two authorities.\n${first}\nAnother one.\n${second}`)
    const env = { PATH: process.env.PATH ?? '', NODE_EXTRA_CA_CERTS: join(folder, 'usual.pem') }
    const trusted = async (named: string) => {
      const args = ['--disable-warning=ExperimentalWarning', '--input-type=module', '-e', program, named, ...ports]
      const { stdout } = await promisify(execFile)(process.execPath, args, { env })
      return stdout.trim().split('\n')
    }
    const no = 'upstream_untrusted'
    expect(await trusted(join(folder, 'named.pem'))).toEqual(['trusted', 'trusted', 'trusted', no])
    expect(await trusted('')).toEqual(['trusted', no, no, no])
  } finally {
    for (const server of servers) server.close()
    await rm(folder, { recursive: true, force: true })
  }
})
