// What a delegation chain costs: verified for the first time, and known. Run: node bench/delegation.ts
import { createPublicKey, generateKeyPairSync } from 'node:crypto'
import { parseSpiffeId, parseTrustDomain } from '../certs/spiffe-id.ts'
import { checkAction } from '../policy/delegation/action.ts'
import { readConstraints } from '../policy/delegation/constraints.ts'
import { HeldChain, type Revocations } from '../policy/delegation/hold.ts'
import { DelegationKey, pinnedRoots } from '../policy/delegation/keys.ts'
import { mintChild, mintRoot } from '../policy/delegation/mint.ts'
import { VerifiedChains } from '../policy/delegation/verified-chains.ts'
import { verifyChain } from '../policy/delegation/verify.ts'

const audience = 'spiffe://acme.example/egress'
const now = Date.now()
const { privateKey } = generateKeyPairSync('ed25519')
const root = { issuer: 'https://delegation.acme.example', keyId: 'root', key: new DelegationKey(privateKey) }
const roots = pinnedRoots([{ issuer: root.issuer, keyId: root.keyId, key: createPublicKey(privateKey) }])
const nothingRevoked: Revocations = { against: () => undefined }
const noTotals = { debit: () => undefined }
const agents = Array.from({ length: 5 }, (_, index) => ({
  id: parseSpiffeId(`spiffe://acme.example/ns/agents/sa/agent-${index}`),
  key: DelegationKey.generate(),
}))
const facts = { host: 'api.github.com', method: 'GET', path: '/repos/acme/postern/issues' }

async function chainOf(length: number): Promise<string> {
  const constraints = readConstraints([
    { key: 'host', one_of: ['api.github.com'] },
    { key: 'method', one_of: ['GET', 'HEAD'] },
    { key: 'path', prefix: '/repos/acme' },
  ])
  const scopes = ['http.github.repos.read', 'mcp.crm.search_contacts']
  let chain = ''
  for (const [hop, { id, key }] of agents.slice(0, length).entries()) {
    const jti = `0190c9a4-0000-7000-8000-00000000000${hop}`
    const holder = agents[hop - 1]
    if (holder === undefined) {
      const grant = {
        principal: 'https://idp.example#user-8821',
        agent: id,
        key: key.public,
        audience: [audience],
        jti,
      }
      chain = mintRoot({ ...grant, scopes, constraints, lifetime: 3600, maxDepth: 8, txn: 'txn-1' }, root, now)
      continue
    }
    const gate = {
      caller: holder.id,
      key: holder.key,
      revocations: nothingRevoked,
      trustDomains: new Set([parseTrustDomain('acme.example')]),
      denial: () => undefined,
      record: () => {},
    }
    const order = { child: id, childKey: key.public, scopes, constraints, jti }
    chain = (await mintChild(verifyChain(chain, roots, now), order, gate, now)).chain
  }
  return chain
}

/** Microseconds a call: the median of a number of rounds, since machines are noisy. */
function cost(calls: number, run: () => void): number {
  const rounds = Array.from({ length: 15 }, () => {
    const start = process.hrtime.bigint()
    for (let call = 0; call < calls; call++) run()
    return Number(process.hrtime.bigint() - start) / 1000 / calls
  })
  return rounds.sort((one, other) => one - other)[7] ?? Number.NaN
}

for (const length of [3, 5]) {
  const chain = await chainOf(length)
  // A header value arrives as a new string: one that is the same object would have its hash already.
  const bytes = Buffer.from(chain, 'latin1')
  const chains = new VerifiedChains(roots)
  const caller = verifyChain(chain, roots, now).leaf.id
  const scopes = ['http.github.repos.read']
  const known = cost(2000, () => {
    const held = HeldChain.hold(chains.verify(bytes.toString('latin1'), now, 1), caller, nothingRevoked)
    checkAction(held, { audience, scopes, facts }, noTotals)
  })
  const first = cost(50, () => void verifyChain(bytes.toString('latin1'), roots, now))
  console.log(
    `${length} tokens (${chain.length} bytes): known, all ten steps ${known.toFixed(1)} µs; first time ${first.toFixed(0)} µs`,
  )
}
