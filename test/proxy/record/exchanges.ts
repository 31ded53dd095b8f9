// A plain exchange to start from, for tests that look at one thing.
import type { SpiffeId } from '../../../certs/spiffe-id.ts'
import type { Authorized, Finding, HostName, Outcome, Reached } from '../../../proxy/exchange.ts'
import type { Lease } from '../../../proxy/obtain/provider.ts'

export type { Authorized } from '../../../proxy/exchange.ts'

const researcher = 'spiffe://acme.example/ns/agents/sa/researcher' as SpiffeId

interface Parts {
  readonly id?: string
  readonly host?: string
  readonly path?: string
  readonly query?: string
  readonly method?: string
  readonly agent?: string
  readonly receivedAt?: number
  readonly grant?: { readonly credential?: string; readonly rule?: string }
  readonly lease?: Lease
  readonly findings?: readonly Finding[]
}

export function anExchange(parts: Parts = {}): Reached {
  const id = (parts.agent ?? researcher) as SpiffeId
  const identified = {
    id: parts.id ?? '019b2c3d-4e5f-7a6b-8c7d-9e0f1a2b3c4d',
    receivedAt: parts.receivedAt ?? 1_000,
    connection: {
      id: '019b2c3d-0000-7000-8000-000000000001',
      listener: 'agents',
      accept: 'http-proxy' as const,
      transport: 'tcp' as const,
      remoteAddress: '127.0.0.1',
      remotePort: 40_001,
      localAddress: '127.0.0.1',
      localPort: 15_001,
      peerCertificates: [],
      proxyAuthorization: undefined,
    },
    method: parts.method ?? 'GET',
    target: {
      scheme: 'https' as const,
      host: (parts.host ?? 'api.crm.example') as HostName,
      port: 443,
      path: parts.path ?? '/v1/contacts',
      query: parts.query ?? '',
    },
    headers: [],
    body: undefined,
    upgrade: undefined,
    caller: { id, proofs: ['x509-svid' as const], serial: '0a1b' },
    principal: { kind: 'agent' as const, id },
    chain: { depth: 0, hops: [{ id, scopes: [] }] },
  }
  if (parts.grant === undefined) return identified
  return {
    ...identified,
    ...authorization(parts.grant),
    lease: parts.lease,
    findings: parts.findings ?? [],
  }
}

export function anAuthorized(parts: Parts & { readonly grant: NonNullable<Parts['grant']> }): Authorized {
  return anExchange(parts) as Authorized
}

function authorization({ credential, rule = 'researcher-reads-contacts' }: NonNullable<Parts['grant']>) {
  return {
    grant: { verdict: 'allow' as const, rule, destination: 'crm', credential, shadows: [] },
    destination: {
      name: 'crm',
      hosts: ['api.crm.example'],
      protocol: 'https' as const,
      ports: [443],
      addresses: [],
      ca: [],
      echo: 'redact' as const,
      timeouts: { connect: 1, headers: 1, idle: 1 },
    },
  }
}

export function anOutcome(parts: Partial<Outcome>): Outcome {
  const exchange = parts.exchange ?? anExchange({ grant: {} })
  const exchangeUndecided = parts.refusal === undefined ? exchange : (parts.exchange ?? anExchange())
  return {
    kind: 'request',
    exchange: exchangeUndecided,
    refusal: undefined,
    answer: parts.refusal === undefined ? { status: 200, address: '93.184.216.34', findings: [] } : undefined,
    ended: parts.refusal === undefined ? 'complete' : 'refused',
    bytes: { sent: 1_024, received: 0 },
    spent: { identify: 0.01, authorize: 0.004, forward: 12.25 },
    endedAt: exchange.receivedAt + 13,
    ...parts,
  }
}
