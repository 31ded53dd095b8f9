// A request that is ready to leave for one destination, for tests of what sends it.
import { parseSpiffeId } from '../../certs/spiffe-id.ts'
import { canonicalHost } from '../../proxy/capture/target.ts'
import { type Answer, type Destination, type Injected, OutgoingHead } from '../../proxy/exchange.ts'

/** A destination on this machine, under a name that it does not have. */
export function destinationAt(host: string, port: number, more: Partial<Destination> = {}): Destination {
  return {
    name: 'there',
    hosts: [host],
    protocol: 'https',
    ports: [port],
    addresses: ['127.0.0.0/8'],
    ca: [],
    echo: 'redact',
    timeouts: { connect: 2_000, headers: 2_000, idle: 2_000 },
    ...more,
  }
}

export function injectedTo(destination: Destination, more: Partial<Injected> = {}): Injected {
  const id = parseSpiffeId('spiffe://acme.example/agent')
  const [host = '', port = 443] = [destination.hosts[0], destination.ports[0]]
  return {
    id: 'request',
    receivedAt: 0,
    connection: {
      id: 'connection',
      listener: 'test',
      accept: 'http-proxy',
      transport: 'tcp',
      remoteAddress: '127.0.0.1',
      remotePort: 1,
      localAddress: '127.0.0.1',
      localPort: 2,
      peerCertificates: [],
      proxyAuthorization: undefined,
    },
    method: 'GET',
    target: { scheme: 'https', host: canonicalHost(host), port, path: '/', query: '' },
    headers: [],
    body: undefined,
    upgrade: undefined,
    caller: { id, proofs: ['kernel'] },
    principal: { kind: 'agent', id },
    chain: { depth: 0, hops: [] },
    grant: { verdict: 'allow', rule: 'r', destination: 'there', credential: undefined, shadows: [] },
    destination,
    lease: undefined,
    outgoing: new OutgoingHead('GET', '/', ['host', `${host}:${port}`]),
    emitted: [],
    findings: [],
    ...more,
  }
}

/** Reads a body to its end. */
export function textOf(answer: Answer): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = ''
    answer.body.deliver({
      data(chunk) {
        text += Buffer.from(chunk).toString()
        return true
      },
      end: () => resolve(text),
      fail: reject,
    })
  })
}
