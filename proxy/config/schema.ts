// The configuration file as a whole, put together from what each room says of its own section.
import * as z from 'zod'
import { identitySchema } from '../../certs/settings.ts'
import { checkRule, checkRuleNames, nameRules, ruleSchema } from '../../policy/settings.ts'
import { budgetSchema } from '../budget/settings.ts'
import { listenSchema } from '../capture/settings.ts'
import { dnsSchema } from '../dns/settings.ts'
import type { Destination } from '../exchange.ts'
import { destinationSchema, resolveSchema } from '../forward/settings.ts'
import { delegationSchema } from '../identify/delegation/settings.ts'
import { type FederationSettings, federationSchema, kubernetesSchema } from '../identify/settings.ts'
import { usersSchema } from '../identify/user-token/settings.ts'
import { injectProblem, injectSchema } from '../inject/settings.ts'
import { credentialSchema } from '../obtain/settings.ts'
import { adminSchema, recordsSchema } from '../record/settings.ts'
import { stopSettingsSchema } from '../stop/settings.ts'
import { filePath, name, spiffeId, trustDomain } from './scalars.ts'
import type { Form } from './shape.ts'

const rulesSchema = z
  .array(
    ruleSchema
      .extend({ inject: injectSchema.optional() })
      .superRefine(checkRule)
      .superRefine(({ use, inject }, context) => {
        const message = injectProblem(use, inject)
        if (message !== undefined) context.addIssue({ code: 'custom', path: ['inject'], message })
      }),
  )
  .superRefine(checkRuleNames)
  .transform((rules) => nameRules(rules))

const trustSchema = z.strictObject({
  directory: filePath.describe(
    'A folder that agents can read and not write. `trust/` in it is made anew at each start, with `ca.pem`, `combined.pem` (the roots of the system too), a truststore for Java, and `agent.env`, the variables by which every runtime finds them.',
  ),
  key: filePath
    .optional()
    .describe(
      'Keeps the key of the authority in this file, so that agents that trust it go on after the proxy was started again. It must be on a file system in memory, in a folder of the proxy’s user alone. Without it, the key is nowhere but in the process, and a restart takes a restart of the agents.',
    ),
  constrain: z
    .boolean()
    .default(false)
    .describe(
      'Whether the certificate of the authority says that it is for the hosts of the destinations alone, and what is below them. Clients then refuse it for any other. A reload that adds another host is refused: agents hold the certificate of the start.',
    ),
})

const execSchema = z.strictObject({
  agent: spiffeId.optional().describe('Whom the command is taken for, unless `--as` says otherwise.'),
})

/** What may stand in the file. `version` comes first so that its absence is the first thing told. */
export const configSchema = z.strictObject({
  version: z.literal(1).describe('Version of this format.'),
  trustDomain: trustDomain.describe(
    'Trust domain of the agents here, and of the proxy itself; such as `acme.example`.',
  ),
  identity: identitySchema
    .optional()
    .describe('Where the identity of the proxy comes from. Needed by `https-proxy` listeners and `jwt-spiffe`.'),
  federation: federationSchema
    .default({})
    .describe(
      'Other trust domains whose workloads may call, by name, and where the bundle of each comes from. Empty means none.',
    ),
  kubernetes: kubernetesSchema
    .optional()
    .describe(
      'Whose service-account tokens prove a caller. Needed by `kubernetes-token` listeners; counts from the next start.',
    ),
  delegation: delegationSchema
    .prefault({})
    .describe('What agents may act for on somebody’s behalf, and hand on. docs/delegation.md tells the whole.'),
  users: usersSchema
    .optional()
    .describe(
      'Whose tokens prove that a user stands behind an agent, so that it may act on their behalf; counts from the next start.',
    ),
  listen: listenSchema
    .default([])
    .describe('Where agents connect. `postern exec` opens a listener of its own and needs none here.'),
  dns: dnsSchema
    .optional()
    .describe(
      'Where the proxy answers DNS of redirected callers: hosts that some rule could allow, and no others. Counts from the next start.',
    ),
  trust: trustSchema
    .optional()
    .describe('Where `postern run` leaves what agents must trust. `postern exec` hands it to its command by itself.'),
  admin: adminSchema.prefault({}).describe('How the proxy is watched and steered.'),
  resolve: resolveSchema
    .default({})
    .describe('Addresses of hosts, asked instead of DNS. They are checked like those that DNS gives.'),
  destinations: z
    .record(name, destinationSchema)
    .default({})
    .describe('Places that requests may be sent to, by name. A host that is not in here cannot be reached.'),
  credentials: z
    .record(name, credentialSchema)
    .default({})
    .describe('Where credentials come from, by name, and the only destinations that each can be sent to.'),
  rules: rulesSchema
    .default([])
    .describe(
      'Who may do what. Any `deny` that matches refuses; else the first `allow` that matches decides; else no.',
    ),
  budgets: z
    .record(name, budgetSchema)
    .default({})
    .describe(
      'How much of what rules allow may be used in a time, by name. docs/budgets.md tells the whole. Empty means no bounds.',
    ),
  records: recordsSchema.prefault({}).describe('Where the record of each request goes.'),
  stop: stopSettingsSchema
    .prefault({})
    .describe(
      'Where orders to stop are written down, and where they come from besides `postern kill`. docs/stop.md tells more.',
    ),
  exec: execSchema.prefault({}).describe('Defaults of `postern exec`.'),
})

type Parsed = z.output<typeof configSchema>

/** A configuration in use: all names lead somewhere, paths are absolute, certification authorities are read. */
export type Config = Omit<Parsed, 'destinations'> & { readonly destinations: Readonly<Record<string, Destination>> }

/** @param authorities contents of the files that `ca` of the destinations names, by absolute path */
export function assemble(parsed: Parsed, authorities: ReadonlyMap<string, string>): Config {
  const withPem = <T extends { readonly ca: readonly string[] }>(place: T) => ({
    ...place,
    ca: place.ca.flatMap((path) => authorities.get(path) ?? []),
  })
  const destinations = Object.entries(parsed.destinations).map(([name, destination]): [string, Destination] => [
    name,
    { ...withPem(destination), name },
  ])
  const federation = Object.entries(parsed.federation).map(([name, each]): [string, FederationSettings] => [
    name,
    each.source === 'https_web' ? withPem(each) : each,
  ])
  const { delegation, kubernetes, stop, users } = parsed
  const roots = delegation.roots.map((each) => ({ ...each, keys: withPem(each.keys) }))
  return {
    ...parsed,
    destinations: Object.fromEntries(destinations),
    federation: Object.fromEntries(federation),
    delegation: { ...delegation, roots },
    stop: stop.feed === undefined ? stop : { ...stop, feed: withPem(stop.feed) },
    ...(kubernetes === undefined ? {} : { kubernetes: { ...kubernetes, keys: withPem(kubernetes.keys) } }),
    ...(users === undefined
      ? {}
      : { users: { issuers: users.issuers.map((each) => ({ ...each, keys: withPem(each.keys) })) } }),
  }
}

/** The JSON Schema of what is written in the file (not of what is made of it), for editors. */
export function jsonSchema(): Form & Record<string, unknown> {
  const { $schema, ...rest } = z.toJSONSchema(configSchema, { io: 'input', unrepresentable: 'any' })
  return { $schema, title: 'Postern configuration', ...rest } as Form & Record<string, unknown>
}

let form: Form | undefined

/** The same, made once. */
export function configForm(): Form {
  form ??= jsonSchema()
  return form
}
