// Exchanges at every point of their way, made up by fast-check, with a canary in everything that must not be recorded.
import fc from 'fast-check'
import type { SpiffeId } from '../../../certs/spiffe-id.ts'
import {
  type Connection,
  type FailedConnection,
  type HostName,
  type Outcome,
  OutgoingHead,
  type Reached,
} from '../../../proxy/exchange.ts'
import { type Reason, Refusal, reasons } from '../../../proxy/refusal.ts'
import { Secret } from '../../../proxy/secret.ts'

export const canary = 'CANARY-7f3a9c'

const text = fc.string({ unit: 'grapheme', maxLength: 24 })
const token = fc.stringMatching(/^[a-z0-9-]{1,12}$/)
const optional = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: undefined })
const spiffeId = token.map((path) => `spiffe://acme.example/${path}` as SpiffeId)

const query = fc
  .array(
    fc.oneof(
      fc.tuple(token, fc.constantFrom('', 'x')).map(([key, more]) => `${key}=${canary}${more}`),
      fc.constantFrom(
        canary,
        `${canary}=`,
        `${canary}==`,
        `=${canary}`,
        `a=b=${canary}`,
        `;${canary}`,
        `a=1;b=${canary}`,
      ),
    ),
    { maxLength: 40 },
  )
  .map((parts) => (parts.length === 0 ? '' : `?${parts.join('&')}`))

export const connections: fc.Arbitrary<Connection> = fc.record({
  id: fc.uuid({ version: 7 }),
  listener: token,
  accept: fc.constantFrom('http-proxy' as const, 'https-proxy' as const),
  transport: fc.constantFrom('tcp' as const, 'unix' as const),
  remoteAddress: optional(fc.oneof(fc.ipV4(), fc.ipV6())),
  remotePort: optional(fc.integer({ min: 1, max: 65_535 })),
  localAddress: optional(fc.ipV4()),
  localPort: optional(fc.integer({ min: 1, max: 65_535 })),
  peerCertificates: fc.constant([]),
  proxyAuthorization: optional(fc.constant(new Secret('proxy-authorization', canary))),
})

const captured = fc.record({
  id: fc.uuid({ version: 7 }),
  receivedAt: fc.integer({ min: 1_700_000_000_000, max: 1_900_000_000_000 }),
  connection: connections,
  method: fc.constantFrom('GET', 'POST', 'CONNECT', 'PROPFIND'),
  target: fc.record({
    scheme: fc.constantFrom('http' as const, 'https' as const),
    host: fc.domain().map((host) => host as HostName),
    port: fc.integer({ min: 1, max: 65_535 }),
    path: text.map((path) => `/${path}`),
    query,
  }),
  headers: fc.constant(['Authorization', `Bearer ${canary}`, 'Cookie', `sid=${canary}`, `X-${canary}`, canary]),
  body: fc.constant(undefined),
  upgrade: optional(fc.constant('websocket')),
})

const identified = fc.record({
  caller: fc.record(
    {
      id: spiffeId,
      proofs: fc.array(fc.constantFrom('x509-svid' as const, 'kernel' as const, 'run-token' as const)),
      serial: token,
      expiresAt: fc.nat(),
      uid: fc.nat(),
      pid: fc.nat(),
      executable: text,
      pod: fc.record({ name: text, uid: text }),
    },
    { requiredKeys: ['id', 'proofs'] },
  ),
  principal: fc.record({ kind: fc.constantFrom('user' as const, 'agent' as const), id: text }),
  chain: fc
    .array(fc.record({ id: spiffeId, scopes: fc.array(token, { maxLength: 3 }) }), { maxLength: 4 })
    .map((hops) => ({ depth: Math.max(0, hops.length - 1), hops })),
})

const shadows = fc.array(fc.record({ rule: token, would: fc.constantFrom('allow' as const, 'deny' as const) }), {
  maxLength: 2,
})

const authorized = fc.record({
  grant: fc.record({
    verdict: fc.constant('allow' as const),
    rule: token,
    destination: token,
    credential: optional(token),
    shadows,
  }),
  destination: fc.record({
    name: token,
    hosts: fc.constant([]),
    protocol: fc.constant('https' as const),
    ports: fc.constant([443]),
    addresses: fc.constant([]),
    ca: fc.constant([]),
    echo: fc.constant('redact' as const),
    timeouts: fc.constant({ connect: 1, headers: 1, idle: 1 }),
  }),
})

const credentialed = fc.record({
  lease: optional(
    fc.record({
      credential: token,
      kind: token,
      secret: fc.constant(new Secret('crm-token', canary)),
      username: optional(fc.constant(canary)),
      expiresAt: optional(fc.integer({ min: 1_700_000_000_000, max: 1_900_000_000_000 })),
      scopes: optional(fc.array(token)),
      cache: fc.constantFrom('hit' as const, 'miss' as const, 'refresh' as const),
    }),
  ),
})

const findings = fc.array(
  fc.record(
    {
      kind: fc.constantFrom(
        'agent_credential_removed' as const,
        'secret_echoed' as const,
        'credential_refused' as const,
      ),
      where: token.map((name) => `header:${name}`),
      fingerprint: token,
      count: fc.nat(),
      note: text,
    },
    { requiredKeys: ['kind', 'where'] },
  ),
  { maxLength: 3 },
)

const injected = fc.record({
  outgoing: fc.constant(new OutgoingHead('GET', `/?${canary}`, ['Authorization', canary])),
  emitted: fc.array(fc.constant(new Secret('crm-token', canary)), { maxLength: 2 }),
  findings,
})

/** Each way may end after any step. */
const reached: fc.Arbitrary<Reached> = fc
  .tuple(captured, identified, authorized, credentialed, injected, fc.nat({ max: 4 }))
  .map(([first, ...rest]) => {
    const steps = rest.slice(0, 4)
    return Object.assign({}, first, ...steps.slice(0, rest[4])) as Reached
  })

const refusals = fc
  .record(
    {
      reason: fc.constantFrom(...(Object.keys(reasons) as Reason[])),
      detail: text,
      rule: token,
      retryAfter: fc.nat(),
      shadows,
    },
    { requiredKeys: ['reason'] },
  )
  .map(({ reason, ...detail }) => new Refusal(reason, { ...detail, cause: new Error(canary) }))

const milliseconds = optional(fc.double({ min: 0, max: 1e6, noNaN: true }))

export const outcomes: fc.Arbitrary<Outcome> = fc
  .record({
    kind: fc.constantFrom('request' as const, 'tunnel' as const),
    exchange: reached,
    refusal: optional(refusals),
    answer: optional(fc.record({ status: fc.integer({ min: 100, max: 599 }), address: optional(fc.ipV4()), findings })),
    ended: fc.constantFrom(
      'complete' as const,
      'refused' as const,
      'client_gone' as const,
      'upstream_gone' as const,
      'cut' as const,
    ),
    bytes: fc.record({ sent: fc.nat(), received: fc.nat() }),
    spent: fc.record({ identify: milliseconds, authorize: milliseconds, forward: milliseconds, body: milliseconds }),
    took: fc.double({ min: -5, max: 1e6, noNaN: true }),
  })
  .map(({ took, spent, ...rest }) => ({
    ...rest,
    spent: Object.fromEntries(Object.entries(spent).filter(([, value]) => value !== undefined)),
    endedAt: rest.exchange.receivedAt + took,
  }))

export const failedConnections: fc.Arbitrary<FailedConnection> = fc
  .record({
    kind: fc.constant('connection' as const),
    id: fc.uuid({ version: 7 }),
    receivedAt: fc.integer({ min: 1_700_000_000_000, max: 1_900_000_000_000 }),
    connection: connections,
    caller: optional(identified.map(({ caller }) => caller)),
    host: optional(text),
    refusal: refusals,
    took: fc.nat(),
  })
  .map(({ took, ...rest }) => ({ ...rest, endedAt: rest.receivedAt + took }))
