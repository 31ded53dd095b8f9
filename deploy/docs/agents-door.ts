// docs/agents-door.openapi.json: the agent's door as an OpenAPI document. Requests and reasons are taken from the code; a test holds the answers to it.
import * as z from 'zod'
import { chainRequest, delegationRequest, doorHost } from '../../proxy/door/door.ts'
import { reasons } from '../../proxy/refusal.ts'

/** What of JSON Schema (2020-12, as OpenAPI 3.1 has it) is used here. */
export interface Schema {
  readonly $ref?: string
  readonly type?: string
  readonly description?: string
  readonly format?: string
  readonly enum?: readonly string[]
  readonly items?: Schema
  readonly properties?: Readonly<Record<string, Schema>>
  readonly required?: readonly string[]
  readonly additionalProperties?: boolean
}

const text = (description: string): Schema => ({ type: 'string', description })
const whole = (description: string): Schema => ({ type: 'integer', description })
const time = (description: string): Schema => ({ type: 'string', format: 'date-time', description })
const texts = (description: string): Schema => ({ type: 'array', items: { type: 'string' }, description })

/** @param optional members that may be missing */
function object(
  properties: Readonly<Record<string, Schema>>,
  optional: readonly string[] = [],
  description?: string,
): Schema {
  const required = Object.keys(properties).filter((name) => !optional.includes(name))
  return { type: 'object', properties, required, additionalProperties: false, ...(description && { description }) }
}

const reference = (name: string): Schema => ({ $ref: `#/components/schemas/${name}` })

const reasonName: Schema = {
  type: 'string',
  enum: Object.keys(reasons),
  description: 'From the closed list of docs/reasons.md.',
}

const bound: Schema = {
  type: 'object',
  description: 'A bound: `key`, and one type with its value, such as `one_of`, `prefix`, `max` or `max_lifetime`.',
  properties: { key: { type: 'string' } },
  required: ['key'],
}

export const doorSchemas = {
  DelegationRequest: z.toJSONSchema(delegationRequest, { io: 'input' }),
  ChainRequest: z.toJSONSchema(chainRequest, { io: 'input' }),
  Delegation: object(
    {
      jti: text('Identifies it; by this it is given back, and stopped.'),
      txn: text('The transaction: the same for all that follows from one root.'),
      holder: text('SPIFFE ID that its holder acts as.'),
      bound_to: text('In whose hands alone the handle counts, in words.'),
      handle: text('To be presented; a secret of its holder.'),
      proxy: text('The proxy URL that presents it; missing at a UNIX socket.'),
      chain: text('The tokens from the root to this one, with `~` between them, for enforcement points elsewhere.'),
      depth: whole('Handoffs from the root.'),
      max_depth: whole('How many agents may hold it one after the other.'),
      scopes: texts('What it may do.'),
      constraints: { type: 'array', items: bound, description: 'All its bounds, those of the ones above included.' },
      expires_at: time('When it ends.'),
      expires_in: whole('The same, in seconds from now.'),
    },
    ['proxy'],
  ),
  Key: object({
    kty: { type: 'string', enum: ['OKP'] },
    crv: { type: 'string', enum: ['Ed25519'] },
    alg: { type: 'string', enum: ['Ed25519'] },
    x: text('base64url'),
  }),
  WhoAmI: object({
    caller: object(
      {
        id: text('SPIFFE ID.'),
        proofs: texts('What proves it, strongest first.'),
        uid: whole('User, as the kernel tells it.'),
        pid: whole('Process, as the kernel tells it.'),
        executable: text('Program of that process.'),
      },
      ['uid', 'pid', 'executable'],
    ),
    principal: object({
      kind: { type: 'string', enum: ['user', 'agent'] },
      id: text('On whose behalf.'),
    }),
    chain: object(
      {
        depth: whole('Handoffs from the root.'),
        txn: text('The transaction.'),
        hops: {
          type: 'array',
          items: object({ id: text('SPIFFE ID.'), jti: text('Its delegation.'), scopes: texts('What it holds.') }),
          description: 'From the first agent to the caller; empty without a delegation.',
        },
        expires_at: time('When the first of the delegations ends.'),
      },
      ['txn', 'expires_at'],
    ),
    listener: text('The listener that it came in by.'),
  }),
  Reasons: object({ reasons: { type: 'array', items: reasonName } }),
  Reason: object({
    reason: reasonName,
    status: whole('HTTP status.'),
    title: text('What happened, in one sentence.'),
    next: text('What to do, in one sentence.'),
  }),
  Problem: object(
    {
      type: text('Leads to the reason; `about:blank` where there is none.'),
      title: text('What happened, in one sentence.'),
      status: whole('The HTTP status once more.'),
      reason: reasonName,
      next: text('What to do, in one sentence.'),
      request_id: text('Quote it to whoever runs the proxy.'),
      retry_after: whole('Seconds until it may be tried again.'),
      error: object({
        type: { type: 'string', enum: ['postern'] },
        code: text('The reason once more, where SDKs look for it.'),
        message: text('What happened and what to do.'),
      }),
    },
    ['reason', 'next', 'retry_after', 'error'],
    'RFC 9457.',
  ),
} as const

type SchemaName = keyof typeof doorSchemas

const json = (name: SchemaName) => ({ 'application/json': { schema: reference(name) } })
const answer = (description: string, name: SchemaName) => ({ description, content: json(name) })
const refused = {
  description: 'Refused, with a reason. Which ones there are, GET /v1/reasons says.',
  content: { 'application/problem+json': { schema: reference('Problem') } },
}
const body = (name: SchemaName) => ({ required: true, content: json(name) })
const inPath = (name: string, description: string) => ({
  name,
  in: 'path',
  required: true,
  description,
  schema: { type: 'string' },
})

export const doorPaths = {
  '/v1/delegations': {
    post: {
      summary: 'Be given a delegation by the configuration, or hand on a part of one.',
      description:
        'Without a delegation on the request: at the root, by a grant, and at once handed on where `to` is somebody else. With one: handed on from its holder to `to`.',
      requestBody: body('DelegationRequest'),
      responses: { '201': answer('Made, recorded, and held here.', 'Delegation'), default: refused },
    },
  },
  '/v1/delegations/{jti}': {
    delete: {
      summary: 'End a delegation that the caller holds or has handed on, with all below it.',
      parameters: [inPath('jti', 'As told when it was made.')],
      responses: { '204': { description: 'It has ended, and what was under way with it.' }, default: refused },
    },
  },
  '/v1/chains': {
    post: {
      summary: 'Have a chain that began elsewhere held here, and get a handle for it.',
      requestBody: body('ChainRequest'),
      responses: { '201': answer('Verified, and held here.', 'Delegation'), default: refused },
    },
  },
  '/v1/key': {
    get: {
      summary: 'The key that a root from elsewhere has to name, so that the caller can hand it on.',
      responses: { '200': answer('A public key, as JWK (RFC 8037).', 'Key'), default: refused },
    },
  },
  '/v1/whoami': {
    get: {
      summary: 'Who the caller is to the proxy, on whose behalf, and by which right.',
      responses: { '200': answer('As the rules see it.', 'WhoAmI'), default: refused },
    },
  },
  '/v1/reasons': {
    get: {
      summary: 'Every reason for which something can be refused.',
      responses: { '200': answer('The closed list.', 'Reasons'), default: refused },
    },
  },
  '/v1/reasons/{name}': {
    get: {
      summary: 'What a reason means, and what to do about it.',
      parameters: [inPath('name', 'As in `reason` of a problem.')],
      responses: { '200': answer('In two sentences.', 'Reason'), default: refused },
    },
  },
} as const

export function doorDocument(): string {
  const document = {
    openapi: '3.1.0',
    info: {
      title: 'The agent’s door of Postern',
      version: '1',
      description: `Answered by the proxy itself at the reserved host ${doorHost}, for callers that it has told who they are: through the proxy, over http or https. docs/delegation.md tells the whole.`,
    },
    servers: [{ url: `http://${doorHost}` }, { url: `https://${doorHost}` }],
    paths: doorPaths,
    components: { schemas: doorSchemas },
  }
  return `${JSON.stringify(document, undefined, 2)}\n`
}
