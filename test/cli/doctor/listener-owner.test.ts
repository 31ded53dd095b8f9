// Whose the proxy's port is, read from the kernel's table.
import { once } from 'node:events'
import { createServer } from 'node:net'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { listenerOwner, listenersIn } from '../../../cli/doctor/listener-owner.ts'

const table = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:3A99 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1337        0 4711 1 0000000000000000 100 0 0 10 0
   1: 0100007F:3A9A 0100007F:3A99 01 00000000:00000000 00:00000000 00000000  1000        0 4712 1 0000000000000000 20 4 30 10 -1
`

describe('listening ports', () => {
  it('are read from the table, and connections are not', () => {
    expect(listenersIn(table)).toEqual([{ port: 15_001, uid: 1_337 }])
  })

  it('are none in whatever else is there', () => {
    fc.assert(fc.property(fc.string({ maxLength: 500 }), (text) => void listenersIn(text)))
    expect(listenersIn('')).toEqual([])
  })

  it.skipIf(process.platform !== 'linux')('are those of this process too', async () => {
    const server = createServer().listen(0, '127.0.0.1')
    await once(server, 'listening')
    const address = server.address()
    const port = typeof address === 'object' && address !== null ? address.port : 0
    expect(await listenerOwner([port])).toBe(process.getuid?.())
    server.close()
    await once(server, 'close')
    expect(await listenerOwner([port])).toBeUndefined()
  })
})
