// The API of the demo: contacts for whoever brings an access token that the authorization server made for it.
import type { IncomingMessage, ServerResponse } from 'node:http'
import { gzipSync } from 'node:zlib'
import { type JWTPayload, type JWTVerifyGetKey, jwtVerify } from 'jose'
import * as z from 'zod'
import type { LeafIssuer } from '../../certs/leaf-issuer.ts'
import { plannerId } from './configuration.ts'
import { type Listening, serveHttps } from './https-server.ts'

/** A request as it reached the API. */
export interface Seen {
  readonly method: string
  readonly path: string
  readonly authorization: string
  /** Claims of the token; undefined when it was not accepted. */
  readonly claims: JWTPayload | undefined
}

export interface Crm extends Listening {
  readonly seen: readonly Seen[]
  /** How many follow the changes. */
  readonly followers: number
  /** Whether it would take this access token now. */
  accepts(token: string): Promise<boolean>
  /** Tells all who follow. */
  change(what: string): void
}

interface Trust {
  readonly issuer: string
  readonly audience: string
  readonly keys: JWTVerifyGetKey
  /** What the authorization server says of a token. */
  readonly isRevoked: (token: string) => boolean
}

const actor = z.looseObject({ sub: z.string() })

const contacts = [
  { id: 'c_1', name: 'Ada Lovelace', last_call: '2026-01-12' },
  { id: 'c_2', name: 'Alan Turing', last_call: '2026-02-03' },
  { id: 'c_3', name: 'Grace Hopper', last_call: '2025-11-30' },
]

/** The scope that each route asks for. */
const scopes: Readonly<Record<string, string>> = {
  'GET /v1/contacts': 'contacts.read',
  'GET /v1/echo': 'contacts.read',
  'GET /v1/changes': 'contacts.read',
  'POST /v1/contacts': 'contacts.write',
  'DELETE /v1/contacts/c_1': 'contacts.write',
}

export async function startCrm(certificates: LeafIssuer, wanted: number, trust: Trust): Promise<Crm> {
  const seen: Seen[] = []
  const followers = new Set<ServerResponse>()
  const listening = await serveHttps(certificates, wanted, async (request, answer) => {
    const { method = '', url: path = '', headers } = request
    const authorization = headers.authorization ?? ''
    const claims = await claimsOf(authorization, trust)
    seen.push({ method, path, authorization, claims })
    respond(request, answer, claims, followers)
  })
  return {
    ...listening,
    seen,
    get followers() {
      return followers.size
    },
    accepts: async (token) => (await claimsOf(`Bearer ${token}`, trust)) !== undefined,
    change(what) {
      for (const follower of followers) follower.write(`data: ${what}\n\n`)
    },
  }
}

async function claimsOf(
  authorization: string,
  { issuer, audience, keys, isRevoked }: Trust,
): Promise<JWTPayload | undefined> {
  try {
    const token = authorization.replace(/^Bearer /i, '')
    const requiredClaims = ['exp', 'scope']
    if (isRevoked(token)) return undefined
    return (await jwtVerify(token, keys, { issuer, audience, requiredClaims })).payload
  } catch {
    return undefined
  }
}

function respond(
  request: IncomingMessage,
  answer: ServerResponse,
  claims: JWTPayload | undefined,
  followers: Set<ServerResponse>,
): void {
  request.resume()
  const route = `${request.method} ${request.url}`
  const problem = problemWith(route, claims)
  if (problem !== undefined) send(answer, problem.status, { error: problem.error })
  else if (route === 'GET /v1/echo') echo(answer, request.headers.authorization ?? '')
  else if (route === 'GET /v1/changes') follow(answer, followers)
  else if (route === 'POST /v1/contacts') send(answer, 201, { added: true })
  else send(answer, 200, route === 'GET /v1/contacts' ? { contacts } : { deleted: true })
}

function problemWith(route: string, claims: JWTPayload | undefined): { status: number; error: string } | undefined {
  const scope = scopes[route]
  if (claims === undefined) return { status: 401, error: 'invalid_token' }
  if (scope === undefined) return { status: 404, error: 'not_found' }
  const granted = String(claims.scope).split(' ')
  if (!granted.includes(scope)) return { status: 403, error: 'insufficient_scope' }
  return actorsIn(claims).every((actor) => actor === plannerId || actor.startsWith(`${plannerId}/`))
    ? undefined
    : { status: 403, error: 'unknown_actor' }
}

/** Who acts for the subject, the last of them first (RFC 8693 §4.1). */
export function actorsIn({ act }: Readonly<Record<string, unknown>>): string[] {
  const read = actor.safeParse(act)
  return read.success ? [read.data.sub, ...actorsIn(read.data)] : []
}

/** Events for as long as the caller listens (server-sent events). */
function follow(answer: ServerResponse, followers: Set<ServerResponse>): void {
  followers.add(answer)
  answer.on('close', () => followers.delete(answer))
  answer.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-cache' })
  answer.write('data: following\n\n')
}

/** Gives the credential back, as debugging endpoints and careless error pages do: plainly, in Base64, and compressed. */
function echo(answer: ServerResponse, authorization: string): void {
  const body = JSON.stringify({ authorization, base64: Buffer.from(authorization).toString('base64') })
  answer.writeHead(200, { 'content-type': 'application/json', 'content-encoding': 'gzip', 'x-debug': authorization })
  answer.end(gzipSync(body))
}

function send(answer: ServerResponse, status: number, body: unknown): void {
  answer.writeHead(status, { 'content-type': 'application/json' })
  answer.end(JSON.stringify(body))
}
