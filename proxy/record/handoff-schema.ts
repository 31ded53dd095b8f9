// What records say of handoffs between agents, of stops, and of the trail itself.
import * as z from 'zod'

const count = z.int().min(0)
const spiffeId = z.string().startsWith('spiffe://')

const scalar = z.union([z.string(), z.number(), z.boolean()])

const constraint = z.strictObject({
  key: z.string().describe('What it bounds.'),
  one_of: z.array(scalar).optional().describe('One of these.'),
  not_one_of: z.array(scalar).optional().describe('None of these.'),
  prefix: z.string().optional().describe('Begins with this, up to a border of segments.'),
  min: z.number().optional().describe('No less.'),
  max: z.number().optional().describe('No more.'),
  rank: z.string().optional().describe('No higher than this in `order`.'),
  order: z.array(z.string()).optional().describe('The ranks, the lowest first.'),
  max_lifetime: z.number().optional().describe('No more in the life of the delegation.'),
  max_subtree: z.number().optional().describe('No more with everything that was handed on.'),
})

export const delegation = z.strictObject({
  event: z
    .enum(['delegation.created', 'delegation.denied', 'delegation.used', 'delegation.revoked'])
    .describe('What became of it.'),
  from: z
    .strictObject({
      spiffe_id: spiffeId.describe('Who handed on.'),
      jti: z.string().optional().describe('The delegation that it held; absent at the root.'),
      svid_serial: z.string().optional().describe('Serial number of its certificate.'),
    })
    .optional()
    .describe('Absent at the root of a chain.'),
  to: z
    .strictObject({
      spiffe_id: spiffeId.describe('Who received.'),
      jti: z.string().optional().describe('The delegation that was made.'),
      key_thumbprint: z.string().optional().describe('RFC 7638 thumbprint of the key that it is bound to.'),
      evidence: z.string().optional().describe('Hash of the evidence that the key is its own.'),
    })
    .describe('The receiving side.'),
  depth: count.optional().describe('Handoffs from the root.'),
  max_depth: count.optional().describe('Handoffs that are allowed from the root.'),
  granted: z
    .strictObject({
      scopes: z.array(z.string()).describe('What was handed on.'),
      constraints: z.array(constraint).optional().describe('Its bounds.'),
      expires_at: z.iso.datetime({ precision: 3 }).optional().describe('When it ends.'),
    })
    .optional()
    .describe('The right that the receiving side has from here on.'),
  dropped: z
    .strictObject({
      scopes: z.array(z.string()).describe('What was held and not handed on.'),
      constraints: z.array(constraint).optional().describe('Bounds that were added.'),
    })
    .optional()
    .describe('How the right became narrower.'),
  parent_digest: z.string().optional().describe('Hash of the token that this one was made under.'),
  token_digest: z.string().optional().describe('Hash of the token.'),
  root_issuer: z.string().optional().describe('Who signed the root of the chain.'),
  posture: z.string().optional().describe('State of the agent that was taken into account.'),
  reason: z.string().optional().describe('Why it was denied or revoked.'),
  sidecar: z
    .strictObject({
      spiffe_id: spiffeId.optional().describe('Identity of the proxy.'),
      version: z.string().describe('Its version.'),
    })
    .optional()
    .describe('Who wrote this down.'),
})

export const stop = z.strictObject({
  event: z.enum(['stop.ordered', 'stop.lifted']).describe('Whether it begins or ends.'),
  what: z
    .strictObject({
      kind: z
        .enum(['all', 'agent', 'user', 'txn', 'delegation', 'credential', 'destination'])
        .describe('What sort of thing was stopped.'),
      id: z.string().optional().describe('Which one; absent with `all`.'),
    })
    .describe('What was stopped.'),
  reason: z.string().optional().describe('As whoever ordered it put it.'),
  by: z
    .strictObject({
      uid: count.optional().describe('User, as the kernel tells it.'),
      via: z.string().optional().describe('The way that it came by.'),
    })
    .describe('Who ordered it.'),
  until: z.iso.datetime({ precision: 3 }).optional().describe('When it ends by itself.'),
  cut: count.optional().describe('Open exchanges that it ended.'),
})

export const checkpoint = z.strictObject({
  seq: count.describe('The last line that it covers.'),
  head: z.string().describe('Hash of that line.'),
  count: count.describe('Lines since the checkpoint before, or since the start of the process.'),
  spiffe_id: spiffeId.optional().describe('Whose key signed; absent where it is a key of this process alone.'),
  key_thumbprint: z.string().describe('RFC 7638 thumbprint of the key.'),
  jws: z.string().describe('Compact JWS over all of this; `x5c` or `jwk` in its header has the public key.'),
})

export const audit = z.strictObject({
  event: z
    .enum(['torn', 'mismatch'])
    .describe(
      'The line before is the beginning of a record that an end of the process cut off; the last line found at the start does not follow from the one before it.',
    ),
  bytes: count.optional().describe('Length of what was cut off.'),
  hash: z.string().optional().describe('Its hash, so that it cannot change unnoticed.'),
  at_seq: count.optional().describe('Number of the line that does not follow.'),
})

export type Delegation = z.infer<typeof delegation>
export type Stop = z.infer<typeof stop>
