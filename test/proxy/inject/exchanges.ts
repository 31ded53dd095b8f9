// Requests to try placements on.
import type { SpiffeId } from '../../../certs/spiffe-id.ts'
import type { Credentialed, Destination, HostName, Target } from '../../../proxy/exchange.ts'
import { type Catalogue, createPlacements, type PlacedRule } from '../../../proxy/inject/catalogue.ts'
import type { Inject } from '../../../proxy/inject/settings.ts'
import type { Lease } from '../../../proxy/obtain/provider.ts'
import { Secret } from '../../../proxy/secret.ts'

export const canary = 'sk-canary-Zq8/fT3+xW_1aQ=9kLmN'
export const fingerprintKey = Buffer.alloc(32, 7)
export const fingerprint = (secret: Secret) => secret.fingerprint(fingerprintKey)

export interface Given {
  readonly method?: string
  readonly target?: Partial<Omit<Target, 'host'>> & { readonly host?: string }
  readonly headers?: readonly string[]
  readonly destination?: Partial<Destination>
  readonly lease?: Partial<Lease> | undefined
}

export function lease(given: Partial<Lease> = {}): Lease {
  return {
    credential: 'crm-token',
    kind: 'env',
    secret: new Secret('crm-token', canary),
    username: 'robot',
    expiresAt: undefined,
    scopes: undefined,
    cache: 'hit',
    ...given,
  }
}

export function exchange(given: Given = {}): Credentialed {
  const id = 'spiffe://acme.example/ns/agents/sa/researcher' as SpiffeId
  return {
    id: '01890a5d-ac96-774b-bcce-b302099a8057',
    receivedAt: 1_700_000_000_000,
    connection: {
      id: 'c1',
      listener: 'agents',
      accept: 'http-proxy',
      transport: 'tcp',
      remoteAddress: '127.0.0.1',
      remotePort: 50_000,
      localAddress: '127.0.0.1',
      localPort: 15_001,
      peerCertificates: [],
      proxyAuthorization: undefined,
    },
    method: given.method ?? 'GET',
    target: {
      scheme: 'https',
      port: 443,
      path: '/v1/contacts',
      query: '',
      ...given.target,
      host: (given.target?.host ?? 'api.crm.example') as HostName,
    },
    headers: given.headers ?? [],
    body: undefined,
    upgrade: undefined,
    caller: { id, proofs: ['kernel'] },
    principal: { kind: 'agent', id },
    chain: { depth: 0, hops: [] },
    grant: { verdict: 'allow', rule: 'rule', destination: 'crm', credential: 'crm-token', shadows: [] },
    destination: {
      name: 'crm',
      hosts: ['api.crm.example'],
      protocol: 'https',
      ports: [443],
      addresses: [],
      ca: [],
      echo: 'redact',
      timeouts: { connect: 1_000, headers: 1_000, idle: 1_000 },
      ...given.destination,
    },
    lease: 'lease' in given && given.lease === undefined ? undefined : lease(given.lease),
  }
}

export const standInKey = Buffer.alloc(32, 9)

/** The placements of one rule, named `rule`, that uses `crm-token` at `crm`. */
export function placements(inject: Inject | undefined, rule: Partial<PlacedRule> = {}): Catalogue {
  return createPlacements({
    rules: [{ name: 'rule', allow: { to: 'crm' }, use: 'crm-token', inject, ...rule }],
    credentials: { 'crm-token': { for: ['crm'] } },
    standInKey,
    fingerprint,
  })
}

/** Values of a header field, whatever the case of its name. */
export function values(headers: readonly string[], name: string): string[] {
  return headers.filter((_, at) => at % 2 === 1 && headers[at - 1]?.toLowerCase() === name)
}
