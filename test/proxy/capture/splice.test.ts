import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import { splice } from '../../../proxy/capture/splice.ts'
import { Refusal } from '../../../proxy/refusal.ts'

const sockets: Socket[] = []
afterEach(() => {
  for (const socket of sockets.splice(0)) socket.destroy()
})

/** Two ends of a real connection. */
async function pair(): Promise<[Socket, Socket]> {
  const server = createServer({ allowHalfOpen: true }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('no port')
  const near = connect({ port: address.port, host: '127.0.0.1', allowHalfOpen: true })
  const [far] = (await once(server, 'connection')) as [Socket]
  server.close()
  sockets.push(near, far)
  for (const socket of [near, far]) socket.on('error', () => {})
  return [near, far]
}

async function spliced(signal = new AbortController().signal) {
  const [agent, agentSide] = await pair()
  const [upstreamSide, upstream] = await pair()
  return { agent, agentSide, upstreamSide, upstream, delivered: splice(agentSide, upstreamSide, signal) }
}

/** Reads to the end, and leaves the other direction open. */
async function readAll(socket: Socket): Promise<string> {
  let got = ''
  socket.on('data', (chunk) => {
    got += String(chunk)
  })
  await once(socket, 'end')
  return got
}

describe('two joined connections', () => {
  it('each end by themselves, so that an answer may follow the end of a question', async () => {
    const { agent, upstream, delivered } = await spliced()
    const asked = readAll(upstream).then((question) => upstream.end(`answer to ${question}`))
    agent.end('question')
    expect(await readAll(agent)).toBe('answer to question')
    await asked
    expect(await delivered).toEqual({ ended: 'complete', refusal: undefined, sent: 18, received: 8 })
  })

  it('end together when the agent is gone', async () => {
    const { agent, delivered } = await spliced()
    agent.resetAndDestroy()
    expect(await delivered).toMatchObject({ ended: 'client_gone', refusal: undefined })
  })

  it('end together when the upstream is gone', async () => {
    const { agent, upstream, delivered } = await spliced()
    upstream.resetAndDestroy()
    agent.resume()
    expect(await delivered).toMatchObject({ ended: 'upstream_gone', refusal: undefined })
  })

  it('are cut when access is withdrawn', async () => {
    const withdrawn = new AbortController()
    const { agent, delivered } = await spliced(withdrawn.signal)
    agent.resume()
    const refusal = new Refusal('denied_by_rule')
    withdrawn.abort(refusal)
    expect(await delivered).toMatchObject({ ended: 'cut', refusal })
  })

  it('are cut with its reason when what passes is refused', async () => {
    const { agent, upstreamSide, delivered } = await spliced()
    agent.resume()
    const refusal = new Refusal('secret_echoed')
    upstreamSide.destroy(refusal)
    expect(await delivered).toMatchObject({ ended: 'cut', refusal })
  })
})
