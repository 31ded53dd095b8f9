// The agent's door: the host `postern.internal`, which the proxy itself answers, for callers that have proved who they are.
import * as z from 'zod'
import { spiffeId } from '../config/scalars.ts'
import type { Answer, Identified } from '../exchange.ts'
import { type Reason, reasons } from '../refusal.ts'
import { Secret } from '../secret.ts'
import type { Delegated, DelegationDesk } from './desk.ts'
import { emptyAnswer, jsonAnswer } from './json-answer.ts'
import { readJson } from './json-body.ts'

/** Reserved; no name that DNS gives anybody (draft-davies-internal-tld). */
export const doorHost = 'postern.internal'

type Place = { readonly host: string; readonly port: number }

export interface Door {
  serves(place: Place): boolean
  /** @throws Refusal when what is asked cannot be done, or by whom it is asked may not */
  answer(asked: Identified): Promise<Answer>
}

const seconds = z.int().min(1).max(3_600)

/** Body of `POST /v1/delegations`. */
export const delegationRequest = z.strictObject({
  to: spiffeId
    .optional()
    .describe('SPIFFE ID of who is to have it. Missing: the caller itself, at the root of a chain only.'),
  scopes: z
    .array(z.string().max(200))
    .min(1)
    .max(100)
    .describe('What it may do, such as `crm.contacts.read`, or `crm.*` for everything below.'),
  constraints: z
    .array(z.unknown())
    .max(50)
    .default([])
    .describe(
      'Bounds, each an object of `key` and one type, such as `{"key": "host", "one_of": ["api.crm.example"]}`.',
    ),
  ttl: seconds
    .optional()
    .describe('Seconds that it lasts at most. Missing: as long as the grant at the root, else ten minutes.'),
  max_depth: z
    .int()
    .min(1)
    .max(8)
    .optional()
    .describe('How many agents may hold it one after the other, all of the chain counted.'),
  narrow: z
    .boolean()
    .default(false)
    .describe('Take what both sides have in common where more is asked than there is, instead of refusing.'),
  subject_token: z
    .string()
    .min(1)
    .max(32_768)
    .optional()
    .describe('Token of the user on whose behalf, of an issuer that `users` names; at the root only.'),
  bind: z
    .enum(['process', 'parent', 'id'])
    .optional()
    .describe(
      'To the asking process and what it starts; to the process that started it, and what that starts; or to whoever proves the ID of `to`. Missing: as it fits.',
    ),
})

/** Body of `POST /v1/chains`. */
export const chainRequest = z.strictObject({
  chain: z.string().min(1).max(60_000).describe('The tokens from the root to the caller, with `~` between them.'),
})

export class AgentDoor implements Door {
  readonly #desk: DelegationDesk

  constructor(desk: DelegationDesk) {
    this.#desk = desk
  }

  serves({ host, port }: Place): boolean {
    return host === doorHost && (port === 443 || port === 80)
  }

  async answer(asked: Identified): Promise<Answer> {
    const { method, target } = asked
    const [, version, collection, item, ...rest] = target.path.split('/')
    if (version !== 'v1' || rest.length > 0) return nothingThere(asked)
    switch (`${collection}${item === undefined ? '' : '/…'}`) {
      case 'whoami':
        return method === 'GET' ? jsonAnswer(200, whoami(asked)) : notThatWay(asked, 'GET')
      case 'delegations':
        return method === 'POST' ? this.#delegate(asked) : notThatWay(asked, 'POST')
      case 'key':
        return method === 'GET' ? jsonAnswer(200, this.#desk.keyOf(asked)) : notThatWay(asked, 'GET')
      case 'chains':
        return method === 'POST' ? this.#adopt(asked) : notThatWay(asked, 'POST')
      case 'delegations/…':
        return method === 'DELETE' ? this.#end(asked, item ?? '') : notThatWay(asked, 'DELETE')
      case 'reasons':
        return method === 'GET' ? jsonAnswer(200, { reasons: Object.keys(reasons) }) : notThatWay(asked, 'GET')
      case 'reasons/…':
        return method === 'GET' ? reason(asked, item ?? '') : notThatWay(asked, 'GET')
      default:
        return nothingThere(asked)
    }
  }

  async #delegate(asked: Identified): Promise<Answer> {
    const wanted = await readJson(asked, delegationRequest)
    const { to, scopes, constraints, ttl, max_depth, narrow, subject_token, bind } = wanted
    const made = await this.#desk.make(asked, {
      to,
      scopes,
      constraints,
      ttl: ttl === undefined ? undefined : ttl * 1_000,
      maxDepth: max_depth,
      narrow,
      subjectToken: subject_token === undefined ? undefined : new Secret('subject token', subject_token),
      bind,
    })
    return jsonAnswer(201, shown(made, asked))
  }

  async #adopt(asked: Identified): Promise<Answer> {
    const { chain } = await readJson(asked, chainRequest)
    return jsonAnswer(201, shown(this.#desk.adopt(asked, chain), asked))
  }

  async #end(asked: Identified, jti: string): Promise<Answer> {
    await this.#desk.end(asked, jti)
    return emptyAnswer(204)
  }
}

function shown(made: Delegated, { receivedAt, connection }: Identified) {
  const { localAddress, localPort, accept } = connection
  const scheme = accept === 'https-proxy' ? 'https' : 'http'
  const host = localAddress?.includes(':') === true ? `[${localAddress}]` : localAddress
  return {
    jti: made.jti,
    txn: made.txn,
    holder: made.holder,
    bound_to: made.boundTo,
    handle: made.handle,
    ...(localPort === undefined ? {} : { proxy: `${scheme}://delegation:${made.handle}@${host}:${localPort}` }),
    chain: made.chain,
    depth: made.depth,
    max_depth: made.maxDepth,
    scopes: made.scopes,
    constraints: made.constraints,
    expires_at: new Date(made.expiresAt).toISOString(),
    expires_in: Math.floor((made.expiresAt - receivedAt) / 1_000),
  }
}

function whoami({ caller, principal, chain, connection }: Identified) {
  return {
    caller: { id: caller.id, proofs: caller.proofs, uid: caller.uid, pid: caller.pid, executable: caller.executable },
    principal: { kind: principal.kind, id: principal.id },
    chain: {
      depth: chain.depth,
      txn: chain.txn,
      hops: chain.hops,
      expires_at: chain.expiresAt === undefined ? undefined : new Date(chain.expiresAt).toISOString(),
    },
    listener: connection.listener,
  }
}

function reason({ id }: Identified, name: string): Answer {
  if (!isReason(name)) return jsonAnswer(404, problem(404, 'There is no reason of this name.', id), problemType)
  const { status, title, next } = reasons[name]
  return jsonAnswer(200, { reason: name, status, title, next })
}

const isReason = (name: string): name is Reason => Object.hasOwn(reasons, name)

const problemType = 'application/problem+json'

const problem = (status: number, title: string, id: string) => ({ type: 'about:blank', title, status, request_id: id })

const nothingThere = ({ id }: Identified): Answer =>
  jsonAnswer(404, problem(404, 'There is nothing here; docs/delegation.md lists what there is.', id), problemType)

function notThatWay({ id }: Identified, allowed: string): Answer {
  const answer = jsonAnswer(405, problem(405, `Only ${allowed} is answered here.`, id), problemType)
  return { ...answer, headers: [...answer.headers, 'Allow', allowed] }
}
