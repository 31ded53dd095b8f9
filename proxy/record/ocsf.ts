// Records as events of the Open Cybersecurity Schema Framework, for whoever collects events of many programs.

import { eventOf } from './events.ts'
import type { AuditRecord } from './line.ts'
import { harmless } from './terminal-text.ts'

/** The release of the schema that the events keep to. It has no class that carries a chain of delegations, and no AI agent yet: both stand under `unmapped`. */
export const ocsfVersion = '1.8.0'

export type OcsfEvent = Readonly<Record<string, unknown>>

interface Class {
  readonly category: number
  readonly uid: number
}

/** A class's uid is its category × 1000 and a number within it. */
const classes = {
  base: { category: 0, uid: 0 },
  authorizeSession: { category: 3, uid: 3_003 },
  httpActivity: { category: 4, uid: 4_002 },
  apiActivity: { category: 6, uid: 6_003 },
} as const satisfies Record<string, Class>

const other = 99

const httpActivities: Readonly<Record<string, number>> = {
  CONNECT: 1,
  DELETE: 2,
  GET: 3,
  HEAD: 4,
  OPTIONS: 5,
  POST: 6,
  PUT: 7,
  TRACE: 8,
  PATCH: 9,
}

const apiActivities: Readonly<Record<string, number>> = {
  POST: 1,
  GET: 2,
  HEAD: 2,
  OPTIONS: 2,
  PUT: 3,
  PATCH: 3,
  DELETE: 4,
}

/**
 * A request with a credential is a call of an API, any other an HTTP activity; a handoff authorizes a session; what else there is to tell is a base event.
 * @param version of this program
 * @returns undefined for what another event repeats: intents and checkpoints
 */
export function ocsfOf(record: AuditRecord, version: string): OcsfEvent | undefined {
  switch (record.kind) {
    case 'intent':
    case 'checkpoint':
      return undefined
    case 'delegation':
      return handoff(record, version)
    case 'stop':
    case 'gap':
    case 'audit':
      return {
        ...common(record, version, classes.base, other, record.kind === 'stop' ? severities.medium : severities.high),
        message: harmless(eventOf(record)?.text ?? record.kind),
        unmapped: { stop: record.stop, audit: record.audit, lost: record.lost },
      }
    default:
      return activity(record, version)
  }
}

const severities = { informational: 1, medium: 3, high: 4 } as const

function common(record: AuditRecord, version: string, { category, uid }: Class, activity: number, severity: number) {
  return {
    category_uid: category,
    class_uid: uid,
    activity_id: activity,
    type_uid: uid * 100 + activity,
    time: Date.parse(record.time),
    severity_id: severity,
    metadata: {
      version: ocsfVersion,
      profiles: ['security_control'],
      product: { name: 'Postern', vendor_name: 'Postern', version },
      uid: record.id,
      sequence: record.seq,
      correlation_uid: record.txn ?? record.connection?.id,
    },
  }
}

function activity(record: AuditRecord, version: string): OcsfEvent {
  const { request, credential, kind } = record
  const isCall = credential !== undefined && kind === 'request'
  const method = kind === 'request' ? (request?.method ?? '') : 'CONNECT'
  const number = (isCall ? apiActivities : httpActivities)[method] ?? other
  const isGood = record.outcome === 'allowed'
  return {
    ...common(
      record,
      version,
      isCall ? classes.apiActivity : classes.httpActivity,
      number,
      isGood ? severities.informational : severities.medium,
    ),
    ...statusOf(isGood, record.refusal?.reason ?? record.response?.ended),
    status_code: record.response?.status === undefined ? undefined : String(record.response.status),
    duration: record.ms === undefined ? undefined : Math.round(record.ms.total),
    ...control(record),
    actor: actorOf(record),
    api: isCall ? apiOf(record) : undefined,
    src_endpoint: { ip: record.connection?.address, port: record.connection?.port, name: record.listener },
    dst_endpoint: destinationOf(record),
    http_request: requestOf(record),
    http_response:
      record.response?.status === undefined
        ? undefined
        : { code: record.response.status, length: record.response.bytes },
    unmapped: {
      delegation_chain: record.chain,
      ai_agent: record.caller === undefined ? undefined : { uid: record.caller.spiffe_id },
      proofs: record.caller?.proofs,
      credential,
      findings: record.findings,
    },
  }
}

const statusOf = (isGood: boolean, detail: string | undefined) => ({
  status_id: isGood ? 1 : 2,
  status: isGood ? 'Success' : 'Failure',
  status_detail: isGood ? undefined : detail,
})

/** The profile of whatever controls security: what was decided, by which policy. */
function control({ decision, outcome }: AuditRecord) {
  const isDenied = decision?.verdict === 'deny' || (decision === undefined && outcome === 'refused')
  const policy = decision && { name: decision.rule, version: decision.policy_version }
  return {
    action_id: isDenied ? 2 : 1,
    action: isDenied ? 'Denied' : 'Allowed',
    policy,
    authorizations: decision && [{ decision: decision.verdict === 'allow' ? 'Allowed' : 'Denied', policy }],
  }
}

const userTypes = { user: { type_id: 1, type: 'User' }, agent: { type_id: other, type: 'Agent' } } as const

function actorOf({ principal, caller }: AuditRecord) {
  return {
    user: principal && { uid: principal.id, ...userTypes[principal.kind] },
    app_uid: caller?.spiffe_id,
    process: caller?.pid === undefined ? undefined : { pid: caller.pid, file: pathOf(caller.executable) },
  }
}

const pathOf = (path: string | undefined) =>
  path === undefined ? undefined : { path, name: path.slice(path.lastIndexOf('/') + 1), type_id: 1 }

const apiOf = ({ request, destination }: AuditRecord) => ({
  operation: `${request?.method ?? ''} ${request?.path ?? ''}`,
  service: { name: destination?.name ?? destination?.host },
})

function destinationOf({ destination }: AuditRecord) {
  return destination && { hostname: destination.host, ip: destination.address, port: destination.port }
}

function requestOf({ request, destination }: AuditRecord) {
  if (request === undefined) return undefined
  const { scheme, host, port } = destination ?? {}
  return {
    http_method: request.method,
    length: request.bytes,
    url: { scheme, hostname: host, port, path: request.path },
  }
}

function handoff(record: AuditRecord, version: string): OcsfEvent | undefined {
  const { delegation, principal } = record
  if (delegation === undefined) return undefined
  const { event, to, from, granted, reason } = delegation
  const isGood = event !== 'delegation.denied'
  // 1: Assign Privileges.
  const number = event === 'delegation.created' || event === 'delegation.denied' ? 1 : other
  return {
    ...common(record, version, classes.authorizeSession, number, isGood ? severities.informational : severities.medium),
    ...statusOf(isGood, reason),
    action_id: isGood ? 1 : 2,
    action: isGood ? 'Allowed' : 'Denied',
    message: harmless(eventOf(record)?.text ?? event),
    user: { uid: to.spiffe_id, ...userTypes.agent },
    actor: {
      user: principal && { uid: principal.id, ...userTypes[principal.kind] },
      app_uid: from?.spiffe_id,
    },
    session: {
      uid: to.jti,
      expiration_time: granted?.expires_at === undefined ? undefined : Date.parse(granted.expires_at),
    },
    privileges: granted?.scopes ?? [],
    unmapped: { delegation_chain: record.chain, ai_agent: { uid: to.spiffe_id }, delegation },
  }
}
