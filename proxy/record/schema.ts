// What a record says, field by field. docs/records.md is made from this, and the type that writers fill in.
import * as z from 'zod'
import { type Reason, reasons } from '../refusal.ts'
import { audit, checkpoint, delegation, stop } from './handoff-schema.ts'

const reason = z.enum(Object.keys(reasons) as [Reason, ...Reason[]])
const spiffeId = z.string().startsWith('spiffe://')
const count = z.int().min(0)
const milliseconds = z.number().min(0)

/** One line of the records, closed: a field that is not named here does not exist. */
export const auditRecord = z.strictObject({
  v: z.literal(1).describe('Version of this format; it changes when a field changes its meaning or goes.'),
  time: z.iso.datetime({ precision: 3 }).describe('When the request or connection arrived, UTC.'),
  id: z.string().describe('Identifies the request; the agent sees the same in `postern-request-id` and in refusals.'),
  kind: z
    .enum(['request', 'tunnel', 'connection', 'intent', 'gap', 'delegation', 'stop', 'checkpoint', 'audit'])
    .describe(
      'A request; an opaque tunnel or upgraded connection; a connection that ended before a request; a request about to leave; records that were lost; a handoff between agents; a stop; a signed word on all lines so far; something found amiss in the file itself.',
    ),
  outcome: z
    .enum(['allowed', 'refused', 'failed'])
    .optional()
    .describe(
      'It was passed on to its end; it was not permitted; it was permitted or undecided and broke. Absent for all other kinds than `request`, `tunnel` and `connection`.',
    ),
  listener: z.string().optional().describe('Name of the listener that it came in by.'),
  connection: z
    .strictObject({
      id: z.string().describe('The same for all requests of one connection and caller.'),
      address: z.string().optional().describe('Address of the calling side, where it has one.'),
      port: count.optional().describe('Port of the calling side.'),
      isolation: z
        .enum(['namespace'])
        .optional()
        .describe(
          'What kept the caller from every other way out: `namespace`, a network namespace that ends at the proxy, made by `postern exec`. Absent where nothing of Postern’s own did.',
        ),
      original: z
        .strictObject({
          address: z.string().describe('As the kernel remembers it.'),
          port: count.describe('As the kernel remembers it.'),
        })
        .optional()
        .describe('Where a redirected connection was going. It is no place that anything was sent to because of it.'),
    })
    .optional()
    .describe('How it came in.'),
  caller: z
    .strictObject({
      spiffe_id: spiffeId.describe('Who called.'),
      attested: spiffeId
        .optional()
        .describe('Whom the proof itself names, where a delegation says that it acts as somebody else.'),
      trust_domain: z.string().optional().describe('Trust domain of that ID.'),
      proofs: z.array(z.string()).describe('What proved it, strongest first.'),
      serial: z.string().optional().describe('Serial number of the certificate presented.'),
      expires: z.iso
        .datetime({ precision: 3 })
        .optional()
        .describe('Until when the proof holds, UTC; absent where it ends with the connection.'),
      uid: count.optional().describe('User of the calling process, as the kernel tells it.'),
      pid: count.optional().describe('The calling process, as the kernel tells it.'),
      executable: z.string().optional().describe('Path of the program that the process runs.'),
      container: z
        .string()
        .optional()
        .describe('Id of the container that the process is in, as its control groups tell it.'),
      pod: z
        .strictObject({
          name: z.string().describe('Its name, in the namespace that the ID says.'),
          uid: z.string().describe('Tells it from others that had the name before or will.'),
        })
        .optional()
        .describe('The pod that the service-account token was bound to.'),
    })
    .optional()
    .describe('Absent when the caller could not be told.'),
  principal: z
    .strictObject({
      kind: z.enum(['user', 'agent']).describe('A person, or an agent that acts for itself.'),
      id: z.string().describe('Which one.'),
    })
    .optional()
    .describe('On whose behalf.'),
  chain: z
    .array(
      z.strictObject({
        id: spiffeId.describe('The agent that held the right at this point.'),
        scopes: z.array(z.string()).describe('What it was handed.'),
        jti: z.string().optional().describe('The delegation by which it was handed.'),
      }),
    )
    .optional()
    .describe('Every handoff, from the first agent to the caller.'),
  destination: z
    .strictObject({
      name: z.string().optional().describe('What the configuration calls it; absent until a rule has allowed it.'),
      scheme: z.enum(['http', 'https']).optional().describe('How it was spoken to.'),
      host: z.string().describe('Host name or address that was asked for.'),
      port: count.optional().describe('Port that was asked for.'),
      address: z.string().optional().describe('The address that was checked and connected to.'),
      spiffe_id: spiffeId
        .optional()
        .describe('The workload that the host proved to be, where the destination demands it.'),
    })
    .optional()
    .describe('Where to.'),
  request: z
    .strictObject({
      method: z.string().describe('As sent.'),
      path: z.string().describe('As sent, without the query; cut after 4,096 characters.'),
      query_keys: z
        .array(z.string())
        .optional()
        .describe(
          'Names of the query’s parameters, never a value; `*` for one without a value, which may be one itself.',
        ),
      bytes: count.optional().describe('Bytes that came from the agent, without the head.'),
    })
    .optional()
    .describe('What was asked.'),
  decision: z
    .strictObject({
      verdict: z.enum(['allow', 'deny']).describe('What the policy said.'),
      rule: z.string().optional().describe('The rule that decided; absent when none did.'),
      reason: reason.optional().describe('Why it was denied.'),
      policy_version: z.string().describe('Version of the policy that was asked.'),
      shadows: z
        .array(
          z.strictObject({
            rule: z.string().describe('A rule in shadow mode.'),
            would: z.enum(['allow', 'deny']).describe('What it would have said.'),
          }),
        )
        .optional()
        .describe('Rules in shadow mode that would have decided otherwise.'),
    })
    .optional()
    .describe('Absent when the request did not come as far as the policy.'),
  budgets: z
    .array(
      z.strictObject({
        name: z.string().describe('What the configuration calls it.'),
        cost: z.number().min(0).optional().describe('Units that this request cost, where they are counted.'),
        left: z
          .strictObject({
            requests: count.optional().describe('Requests.'),
            response_bytes: count.optional().describe('Bytes of bodies of answers.'),
            paths: count.optional().describe('Paths that were not asked for yet.'),
            cost: z.number().min(0).optional().describe('Units of cost.'),
          })
          .describe('What is left of it in this window.'),
      }),
    )
    .optional()
    .describe('The budgets that it was counted against; absent when there is none.'),
  credential: z
    .strictObject({
      name: z.string().describe('What the configuration calls it.'),
      kind: z.string().optional().describe('Kind of its source; absent when it could not be had.'),
      cache: z.enum(['hit', 'miss', 'refresh']).optional().describe('Whether it was there already.'),
      expires_in_s: z
        .int()
        .optional()
        .describe('Whole seconds from `time` until it expires; absent when it does not say.'),
      scopes: z.array(z.string()).optional().describe('As granted, where its source says so.'),
      fingerprint: z.string().optional().describe('Keyed; tells two values apart and cannot be led back to one.'),
    })
    .optional()
    .describe('Absent when the rule names none.'),
  injected: z
    .strictObject({
      placement: z.string().optional().describe('How the credential was written into the request.'),
    })
    .optional()
    .describe('Absent when nothing was.'),
  findings: z
    .array(
      z.strictObject({
        kind: z
          .enum([
            'agent_credential_removed',
            'agent_credential_passed',
            'stand_in_misused',
            'secret_echoed',
            'credential_refused',
            'wider_scope',
            'address_mismatch',
          ])
          .describe('What was found.'),
        where: z.string().describe('In which part of the request or the answer.'),
        fingerprint: z.string().optional().describe('Keyed fingerprint of the value concerned.'),
        count: count.optional().describe('How many times.'),
        note: z.string().optional().describe('More about it.'),
      }),
    )
    .optional()
    .describe('What is worth knowing besides the verdict.'),
  response: z
    .strictObject({
      status: count.optional().describe('HTTP status that the agent got.'),
      bytes: count.describe('Bytes that the agent was given, without the head.'),
      ended: z
        .enum(['complete', 'refused', 'client_gone', 'upstream_gone', 'cut'])
        .describe('How it ended; `cut`: by Postern, in the middle.'),
    })
    .optional()
    .describe('What came back.'),
  ms: z
    .strictObject({
      identify: milliseconds.optional().describe('Telling who calls.'),
      authorize: milliseconds.optional().describe('Asking the policy.'),
      obtain: milliseconds.optional().describe('Getting the credential.'),
      inject: milliseconds.optional().describe('Writing it into the request.'),
      forward: milliseconds.optional().describe('Until the head of the answer came from the upstream.'),
      redact: milliseconds.optional().describe('Looking through the head of the answer.'),
      body: milliseconds.optional().describe('Until the body had passed.'),
      total: milliseconds.describe('From arrival to end.'),
    })
    .optional()
    .describe('Where the time went, in milliseconds.'),
  refusal: z
    .strictObject({
      reason: reason.describe('From the closed list of docs/reasons.md.'),
      detail: z
        .string()
        .optional()
        .describe('For people: what was expected and what was found. The agent does not see it.'),
      budget: z.string().optional().describe('With `budget_exhausted`: which one.'),
    })
    .optional()
    .describe('Present when Postern ended it.'),
  lost: count.optional().describe('With `gap`: how many records could not be written since the one before.'),
  txn: z.string().optional().describe('The transaction: one for all that follows from one root of a chain.'),
  delegation: delegation.optional().describe('With `delegation`: the handoff.'),
  stop: stop.optional().describe('With `stop`: what was stopped, or goes on.'),
  checkpoint: checkpoint.optional().describe('With `checkpoint`: how far the trail has come.'),
  audit: audit.optional().describe('With `audit`: what was found.'),
  seq: count
    .optional()
    .describe('Number of the line in its trail, from 1. This and what follows are the last members of each line.'),
  prev: z
    .string()
    .optional()
    .describe(
      'Base64url of the SHA-256 over the bytes of the line before, without its line end; in the first line, over `trail`.',
    ),
  trail: z
    .string()
    .optional()
    .describe('Id of the trail: in its first line, and in each line where several processes write into one file.'),
})
