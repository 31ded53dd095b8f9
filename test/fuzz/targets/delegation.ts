// Delegation chains: each token says what the input says and is signed by whoever holds the key, as a hostile agent could do.
import { createPublicKey, generateKeyPairSync, hash } from 'node:crypto'
import { canonical } from '../../../policy/delegation/canonical.ts'
import type { VerifiedChain } from '../../../policy/delegation/chain.ts'
import { firstWidened } from '../../../policy/delegation/constraints.ts'
import { ChainError } from '../../../policy/delegation/error.ts'
import { DelegationKey, issuerOf, pinnedRoots } from '../../../policy/delegation/keys.ts'
import { isCovered } from '../../../policy/delegation/scope.ts'
import { readJson } from '../../../policy/delegation/strict-json.ts'
import { readToken, writeInput } from '../../../policy/delegation/token.ts'
import { verifyChain } from '../../../policy/delegation/verify.ts'
import { mutatedJson } from '../json.ts'
import { mutatedLine } from '../lines.ts'
import { must, mustEqual, type Target, unlessRefused, utf8 } from '../target.ts'

const now = 1_764_000_000_000
const seconds = now / 1_000
const isNamed = (error: unknown) => error instanceof ChainError && error.step <= 7

const rootPair = generateKeyPairSync('ed25519')
const rootKey = new DelegationKey(rootPair.privateKey)
const issuer = 'https://delegation.acme.example'
const roots = pinnedRoots([{ issuer, keyId: 'root-1', key: createPublicKey(rootPair.privateKey) }])
const agents = Array.from({ length: 4 }, () => DelegationKey.generate())
const agentAt = (hop: number) => agents[hop % agents.length] ?? rootKey

const rootHeader = '{"alg":"Ed25519","typ":"at+jwt","kid":"root-1"}'
const childHeader = '{"alg":"Ed25519","typ":"at+jwt"}'
const payload = (hop: number, name: string, scopes: string, constraints: string, more = '') =>
  `{"iss":"$ISS","sub":"https://idp.example#user-8821","client_id":"spiffe://acme.example/${name}",` +
  `"aud":["spiffe://acme.example/egress"],"iat":${seconds},"nbf":${seconds},"exp":${seconds + 600},"jti":"jti-${hop}","txn":"txn-1",` +
  `"cnf":{"jwk":{"kty":"OKP","crv":"Ed25519","alg":"Ed25519","x":"$KEY"}},"del_depth":${hop},` +
  `${hop === 0 ? '"del_max_depth":8' : '"par_hash":"$PAR"'},` +
  `"authorization_details":[{"type":"agent_delegation","scopes":${scopes},"constraints":${constraints}}]${more}}`
const bounds =
  '[{"key":"arg.amount","max":100},{"key":"path","prefix":"/v1/"},{"key":"host","one_of":["a.example","b.example"]}]'
const narrower =
  '[{"key":"arg.amount","max":50},{"key":"path","prefix":"/v1/x/"},{"key":"host","one_of":["a.example"]}]'
const two = [
  rootHeader,
  payload(0, 'planner', '["http.github.*","User.Read"]', bounds),
  childHeader,
  payload(1, 'reader', '["http.github.read"]', narrower),
]

export const target: Target = {
  name: 'delegation',
  longest: 3_500,
  seeds: [
    two.join('\n'),
    two.slice(0, 2).join('\n'),
    [
      ...two,
      childHeader,
      payload(
        2,
        'writer',
        '["http.github.read"]',
        narrower,
        ',"status":{"status_list":{"idx":3,"uri":"https://s.example/1"}}',
      ),
    ].join('\n'),
    [
      rootHeader,
      payload(
        0,
        'planner',
        '["a"]',
        '[{"key":"calls","max_subtree":5},{"key":"level","rank":"low","order":["low","high"]},{"key":"x","unknown_kind":{"a":1}}]',
      ),
    ].join('\n'),
    'eyJhbGciOiJFZDI1NTE5In0.e30.AA~a.b.c',
  ],
  dictionary: [
    ...[
      '\n',
      '~',
      '.',
      '$ISS',
      '$KEY',
      '$PAR',
      '{',
      '}',
      '"',
      ',',
      '[',
      ']',
      'null',
      '"kid":"root-1"',
      '"par_hash":"$PAR"',
      '"del_depth":1',
    ],
    ...[
      '"del_max_depth":2',
      '*',
      'http.*',
      'http.github.read',
      '{"key":"arg.amount","max":100}',
      '"max":',
      '"min":',
      '"one_of":',
      '"not_one_of":',
    ],
    ...[
      '"prefix":',
      '"max_subtree":',
      '"max_lifetime":',
      '"rank":',
      '"order":',
      '/v1/',
      '1e21',
      '-0',
      '0.1',
      String(seconds),
      String(seconds + 601),
    ],
  ],
  mutate: (input, random) => mutatedLine(input, random, (line) => mutatedJson(line, random, material)),
  run(input) {
    const text = utf8(input)
    if (!text.includes('\n')) {
      must(
        unlessRefused(() => verifyChain(text, roots, now), isNamed) === undefined,
        'a chain that nobody signed is taken',
      )
      return
    }
    const lines = text.split('\n').slice(0, 20)
    const inputs = inputsOf(lines)
    const reason = reasonOf(chainOf(inputs, () => noSignature))
    must(reason !== undefined, 'a chain that nobody signed is taken')
    // What is wrong with its form is found before the signatures are looked at.
    if (reason !== 'chain_signature_invalid') return
    const verified = unlessRefused(() => verifyChain(chainOf(inputs, signerAt), roots, now), isNamed)
    if (verified === undefined) return
    check(verified)
    const forged = chainOf(inputs, (hop) => (each) => agentAt(hop).sign(each))
    must(reasonOf(forged) === 'chain_signature_invalid', 'a chain signed by its own agents is taken')
  },
}

const material = {
  names: [
    'iss',
    'sub',
    'client_id',
    'aud',
    'iat',
    'nbf',
    'exp',
    'jti',
    'txn',
    'cnf',
    'jwk',
    'x',
    'del_depth',
    'del_max_depth',
    'par_hash',
    'authorization_details',
    'scopes',
    'constraints',
    'key',
    'max',
    'min',
    'one_of',
    'not_one_of',
    'prefix',
    'max_subtree',
    'max_lifetime',
    'rank',
    'order',
    'status',
    'alg',
    'typ',
    'kid',
  ],
  values: [
    '$ISS',
    '$KEY',
    '$PAR',
    'http.github.*',
    '*',
    'http.github.read',
    'User.Read',
    'arg.amount',
    'path',
    'host',
    '/v1/',
    '/v1/x/',
    '/v10/',
    'a.example',
    seconds,
    seconds + 599,
    seconds + 601,
    0,
    1,
    2,
    50,
    100,
    1e21,
    { key: 'arg.amount', max: 101 },
    { key: 'arg.amount', min: 3 },
    { key: 'path', prefix: '/' },
    { key: 'host', not_one_of: ['b.example'] },
    ['a.example', 'c.example'],
  ],
}

type Sign = (input: string) => Buffer

const noSignature: Sign = () => Buffer.alloc(64)
const signerAt = (hop: number): Sign => {
  const key = hop === 0 ? rootKey : agentAt(hop - 1)
  return (input) => key.sign(input)
}

function reasonOf(chain: string): string | undefined {
  try {
    verifyChain(chain, roots, now)
    return undefined
  } catch (error) {
    if (error instanceof ChainError && isNamed(error)) return error.reason
    throw error
  }
}

/**
 * What each token has signed.
 * @param lines of each token its header and its payload, with names for what only the signers know
 */
function inputsOf(lines: readonly string[]): readonly string[] {
  const inputs: string[] = []
  let parent = ''
  for (let hop = 0; hop * 2 < lines.length; hop++) {
    const [header = '', body = ''] = lines.slice(hop * 2, hop * 2 + 2).map((line) =>
      canonicalIfJson(
        line
          .replaceAll('$ISS', hop === 0 ? issuer : issuerOf(agentAt(hop - 1).public))
          .replaceAll('$KEY', agentAt(hop).public.x)
          .replaceAll('$PAR', () => hash('sha256', parent, 'base64url')),
      ),
    )
    parent = `${Buffer.from(header).toString('base64url')}.${Buffer.from(body).toString('base64url')}`
    inputs.push(parent)
  }
  return inputs
}

const chainOf = (inputs: readonly string[], signs: (hop: number) => Sign): string =>
  inputs.map((input, hop) => `${input}.${signs(hop)(input).toString('base64url')}`).join('~')

function canonicalIfJson(text: string): string {
  try {
    return canonical(readJson(Buffer.from(text)))
  } catch {
    return text
  }
}

function check({ text, hops, leaf, depth, maxDepth, expiresAt, principal, txn }: VerifiedChain): void {
  must(depth < maxDepth && hops.length <= 8, 'a chain that is too long')
  must(expiresAt >= now && hops.every((hop) => hop.expiresAt >= expiresAt), 'a time beyond that of a hop')
  mustEqual(new Set(hops.map(({ id }) => id)).size, hops.length, 'an agent that comes twice')
  for (const [at, hop] of hops.entries()) {
    const parent = hops[at - 1] ?? hop
    must(
      hop.scopes.every((scope) => isCovered(scope, parent.scopes)),
      'a scope that the parent has not',
    )
    must(firstWidened(parent.constraints, hop.constraints) === undefined, 'a bound that the parent has not')
    // What holds between neighbours holds from the root to the leaf.
    must(
      leaf.scopes.every((scope) => isCovered(scope, hop.scopes)),
      'a scope that came back',
    )
    must(firstWidened(hop.constraints, leaf.constraints) === undefined, 'a bound that went')
  }
  for (const [at, token] of text.split('~').entries()) {
    const { claims, keyId, input } = readToken(token)
    mustEqual(claims.depth, at, 'a depth that is not its place')
    mustEqual(claims.txn, txn, 'another transaction')
    mustEqual(principal.id, claims.sub, 'another principal')
    const again = readToken(`${writeInput(keyId, claims)}.AA`)
    mustEqual(again.claims, claims, `another token when it is written again: ${input.length}`)
  }
}
