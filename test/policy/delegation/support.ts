// What the tests of delegation share: a family of agents with their keys, a root, and a hand that can forge any token.
import { createHash, createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto'
import { expect } from 'vitest'
import { parseSpiffeId, parseTrustDomain, type SpiffeId } from '../../../certs/spiffe-id.ts'
import { canonical } from '../../../policy/delegation/canonical.ts'
import type { VerifiedChain } from '../../../policy/delegation/chain.ts'
import { type Constraint, readConstraints } from '../../../policy/delegation/constraints.ts'
import { ChainError, type ChainReason } from '../../../policy/delegation/error.ts'
import type { Revocations } from '../../../policy/delegation/hold.ts'
import { DelegationKey, issuerOf, pinnedRoots } from '../../../policy/delegation/keys.ts'
import { type MintGate, mintRoot, type RootGrant } from '../../../policy/delegation/mint.ts'
import type { JsonObject, JsonValue } from '../../../policy/delegation/strict-json.ts'
import { verifyChain } from '../../../policy/delegation/verify.ts'

/** Epoch milliseconds. */
export const now = 1_764_000_000_000
export const seconds = now / 1000
export const audience = 'spiffe://acme.example/egress'

export interface Agent {
  readonly id: SpiffeId
  readonly key: DelegationKey
}

const privateKeys = new Map<string, KeyObject>()

function keyFor(name: string): DelegationKey {
  const { privateKey } = generateKeyPairSync('ed25519')
  privateKeys.set(name, privateKey)
  return new DelegationKey(privateKey)
}

export const names = ['planner', 'researcher', 'reader', 'writer', 'critic', 'editor', 'printer', 'courier', 'ninth']
export const agents: readonly Agent[] = names.map((name) => ({
  id: parseSpiffeId(`spiffe://acme.example/ns/agents/sa/${name}`),
  key: keyFor(name),
}))

/** The agent at a place of the chain. */
export function agentAt(index: number): Agent {
  const agent = agents[index]
  if (agent === undefined) throw new Error(`there is no agent ${index}`)
  return agent
}

export const root = { issuer: 'https://delegation.acme.example', keyId: 'root-1', key: keyFor('root') }

function publicOf(name: string): KeyObject {
  const key = privateKeys.get(name)
  if (key === undefined) throw new Error(`there is no key of ${name}`)
  return createPublicKey(key)
}

export const rootPublicKey = publicOf('root')
export const roots = pinnedRoots([{ issuer: root.issuer, keyId: root.keyId, key: rootPublicKey }])

export const noRevocations: Revocations = { against: () => undefined }

export function constraints(...list: JsonObject[]): readonly Constraint[] {
  return readConstraints(list)
}

export function grantTo(agent: Agent, change: Partial<RootGrant> = {}): RootGrant {
  return {
    principal: 'https://idp.example#user-8821',
    agent: agent.id,
    key: agent.key.public,
    audience: [audience],
    scopes: ['http.github.*', 'User.Read'],
    constraints: [],
    lifetime: 3600,
    maxDepth: 8,
    txn: 'txn-1',
    jti: 'jti-0',
    ...change,
  }
}

export function rootChain(change: Partial<RootGrant> = {}): string {
  return mintRoot(grantTo(agentAt(0), change), root, now)
}

export function gateOf(agent: Agent, change: Partial<MintGate> = {}): MintGate {
  return {
    caller: agent.id,
    key: agent.key,
    revocations: noRevocations,
    trustDomains: new Set([parseTrustDomain('acme.example')]),
    denial: () => undefined,
    record: () => {},
    ...change,
  }
}

export function verified(chain: string): VerifiedChain {
  return verifyChain(chain, roots, now)
}

// ── The forger ──────────────────────────────────────────────────────────────────────────────────────────────────────

type Change = Record<string, JsonValue | undefined>

/** How one token of a forged chain differs from an honest one; each is signed, and commits to the one before. */
export interface Forgery {
  /** Members of the payload; undefined takes one out. */
  readonly payload?: Change
  readonly detail?: Change
  readonly scopes?: readonly string[]
  readonly constraints?: readonly JsonValue[]
  readonly header?: Change
  /** Instead of the canonical bytes of the payload. */
  readonly bytes?: (payload: JsonObject) => string | Uint8Array
  readonly headerBytes?: (header: JsonObject) => string | Uint8Array
  /** Who signs, instead of the parent's holder. */
  readonly signer?: DelegationKey
  /** Instead of an Ed25519 signature. */
  readonly sign?: (input: string) => Uint8Array
}

function changed(object: Change, change: Change | undefined): JsonObject {
  const entries = Object.entries({ ...object, ...change })
  return Object.fromEntries(entries.flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])))
}

/** A chain of as many tokens as there are forgeries; an empty one is an honest token. */
export function forge(...forgeries: readonly Forgery[]): string {
  const tokens: string[] = []
  let parentInput: string | undefined
  forgeries.forEach((forgery, hop) => {
    const agent = agentAt(hop)
    const parent = hop === 0 ? undefined : agentAt(hop - 1)
    const header = changed(
      { alg: 'Ed25519', typ: 'at+jwt', ...(parent === undefined ? { kid: root.keyId } : {}) },
      forgery.header,
    )
    const payload = changed(
      {
        iss: parent === undefined ? root.issuer : issuerOf(parent.key.public),
        sub: 'https://idp.example#user-8821',
        client_id: agent.id,
        aud: [audience],
        iat: seconds,
        nbf: seconds,
        exp: seconds + 600,
        jti: `jti-${hop}`,
        txn: 'txn-1',
        cnf: { jwk: { kty: 'OKP', crv: 'Ed25519', alg: 'Ed25519', x: agent.key.public.x } },
        del_depth: hop,
        ...(parent === undefined ? { del_max_depth: 8 } : {}),
        ...(parentInput === undefined
          ? {}
          : { par_hash: createHash('sha256').update(parentInput).digest('base64url') }),
        authorization_details: [
          changed(
            {
              type: 'agent_delegation',
              scopes: forgery.scopes ?? ['http.github.*'],
              constraints: forgery.constraints ?? [],
            },
            forgery.detail,
          ),
        ],
      },
      forgery.payload,
    )
    const input = [forgery.headerBytes?.(header) ?? canonical(header), forgery.bytes?.(payload) ?? canonical(payload)]
      .map((part) => Buffer.from(part).toString('base64url'))
      .join('.')
    const signer = forgery.signer ?? parent?.key ?? root.key
    const signature = forgery.sign?.(input) ?? signer.sign(input)
    tokens.push(`${input}.${Buffer.from(signature).toString('base64url')}`)
    parentInput = input
  })
  return tokens.join('~')
}

/** Runs it, and gives the refusal. */
export function refusal(run: () => unknown): ChainError {
  try {
    run()
  } catch (error) {
    if (error instanceof ChainError) return error
    throw error
  }
  throw new Error('it was not refused')
}

export function expectRefused(chain: string, reason: ChainReason, hop?: number): void {
  const { reason: found, hop: where, detail } = refusal(() => verified(chain))
  expect({ reason: found, hop: where, detail }).toMatchObject({ reason, ...(hop === undefined ? {} : { hop }) })
}
