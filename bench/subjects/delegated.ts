// The same Postern, for a caller at the end of a chain of three: each request presents its handle.
import { once } from 'node:events'
import { connect } from 'node:net'
import { loader, posternWith } from './postern.ts'
import type { Setting, Subject } from './subject.ts'

const hops = [`${loader}/planner`, `${loader}/planner/researcher`]

export const delegated: Subject = {
  ...posternWith(`delegation: { grants: [{ agents: [${loader}], scopes: ["http.*"], constraints: [{ key: method, one_of: [GET] }] }] }
`),
  name: 'postern, 3 hops',
  async fields({ port }) {
    let field = ''
    for (const to of hops) field = `Delegation-Ref: ${await handedOn(port, to, field)}\r\n`
    return field
  },
}

async function handedOn(port: Setting['port'], to: string, field: string): Promise<string> {
  const body = JSON.stringify({ to, scopes: ['http.upstream.read'], ttl: 3_600 })
  const socket = connect(port, '127.0.0.1')
  socket.write(
    `POST http://postern.internal/v1/delegations HTTP/1.1\r\nHost: postern.internal\r\n${field}Content-Type: application/json\r\nContent-Length: ${body.length}\r\nConnection: close\r\n\r\n${body}`,
  )
  let text = ''
  socket.on('data', (chunk) => {
    text += chunk
  })
  await once(socket, 'close')
  const [, handle] = /"handle":"([^"]+)"/.exec(text) ?? []
  if (handle === undefined) throw new Error(`no delegation was made: ${text}`)
  return handle
}
