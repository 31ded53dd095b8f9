// The kernel's word on the peer of a UNIX socket.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { connect, createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { native } from '../../../../proxy/identify/kernel/native.ts'
import { peerCredentials, peerUid } from '../../../../proxy/identify/kernel/peer.ts'

const loaded = native()
const why = 'missing' in loaded ? loaded.missing : undefined

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'peer-'))
})
afterEach(() => rmSync(folder, { recursive: true }))

describe.skipIf(why !== undefined)(`peerCredentials${why === undefined ? '' : ` (skipped: ${why})`}`, () => {
  test('says nothing of a TCP peer', async () => {
    const server = createServer().listen(0, '127.0.0.1')
    await once(server, 'listening')
    const address = server.address()
    const client = connect(address !== null && typeof address === 'object' ? address.port : 0, '127.0.0.1')
    const [accepted]: Socket[] = await once(server, 'connection')
    expect(accepted && peerUid(accepted)).toBeUndefined()
    client.destroy()
    accepted?.destroy()
    server.close()
  })

  test('says nothing once the socket is closed', async () => {
    const path = join(folder, 's')
    const server = createServer().listen(path)
    await once(server, 'listening')
    connect(path).on('error', () => undefined)
    const [accepted]: Socket[] = await once(server, 'connection')
    accepted?.destroy()
    if (accepted !== undefined) await once(accepted, 'close')
    expect(accepted && peerCredentials(accepted)).toBeUndefined()
    server.close()
  })

  test('names the process and user of another process', async () => {
    const path = join(folder, 's')
    const server = createServer().listen(path)
    await once(server, 'listening')
    const program = `require('node:net').connect(${JSON.stringify(path)}).resume()`
    const child = spawn(process.execPath, ['-e', program], { stdio: 'ignore' })
    const [accepted]: Socket[] = await once(server, 'connection')
    expect(accepted && peerCredentials(accepted)).toEqual({
      pid: child.pid,
      uid: process.getuid?.(),
      gid: process.getgid?.(),
    })
    expect(accepted && peerUid(accepted)).toBe(process.getuid?.())
    accepted?.end()
    await once(child, 'exit')
    server.close()
  })
})
