// A user signs in: her browser and the application that she signs in to, by an authorization code with PKCE (RFC 6749 §4.1, RFC 7636).
import { createHash, randomBytes } from 'node:crypto'
import type { IncomingHttpHeaders, IncomingMessage } from 'node:http'
import { request } from 'node:https'
import { text } from 'node:stream/consumers'
import * as z from 'zod'

export interface User {
  readonly name: string
  readonly password: string
  readonly email: string
}

export interface Application {
  readonly issuer: string
  /** PEM of the authority of its certificate. */
  readonly ca: string
  readonly client: string
  /** Where the browser brings the code; nobody needs to listen there. */
  readonly redirectUri: string
}

interface Page {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly body: string
}

const tokens = z.looseObject({ id_token: z.string() })

/**
 * @returns her ID token
 * @throws when the server does not let her in, or answers with anything but a code and a token
 */
export async function signIn({ name, password }: User, application: Application): Promise<string> {
  const { issuer, ca, client, redirectUri } = application
  const verifier = randomBytes(32).toString('base64url')
  const state = randomBytes(16).toString('base64url')
  const asked = {
    client_id: client,
    redirect_uri: redirectUri,
    response_type: 'code',
    scope: 'openid email',
    state,
    code_challenge: createHash('sha256').update(verifier).digest('base64url'),
    code_challenge_method: 'S256',
  }
  const browser = new Browser(ca)
  const start = `${issuer}/auth?${new URLSearchParams(asked)}`
  const form = await browser.open(start, redirectUri)
  const back = await browser.open(form.url, redirectUri, new URLSearchParams({ name, password }))
  const returned = new URL(back.url).searchParams
  if (returned.get('state') !== state) throw new Error(`${name} was not let in: ${back.page?.body}`)

  const code = returned.get('code') ?? ''
  const grant = { grant_type: 'authorization_code', client_id: client, redirect_uri: redirectUri }
  const proof = new URLSearchParams({ ...grant, code, code_verifier: verifier })
  const answer = await fetchPage(`${issuer}/token`, ca, {}, proof)
  if (answer.status !== 200) throw new Error(`the code was not taken: ${answer.body}`)
  return tokens.parse(JSON.parse(answer.body)).id_token
}

/** Goes where it is sent, and keeps its cookies, all of one server. */
class Browser {
  readonly #ca: string
  readonly #cookies = new Map<string, string>()

  constructor(ca: string) {
    this.#ca = ca
  }

  /**
   * @param home where the application waits: not opened, but returned without a page
   * @param form what to post
   * @returns where it ended up
   */
  async open(url: string, home: string, form?: URLSearchParams): Promise<{ url: string; page: Page | undefined }> {
    const cookie = [...this.#cookies].map(([name, value]) => `${name}=${value}`).join('; ')
    const page = await fetchPage(url, this.#ca, { cookie }, form)
    for (const set of page.headers['set-cookie'] ?? []) {
      const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(set) ?? []
      if (value === '') this.#cookies.delete(name)
      else this.#cookies.set(name, value)
    }
    const { location } = page.headers
    if (location === undefined) return { url, page }
    const next = new URL(location, url).href
    return next.startsWith(home) ? { url: next, page: undefined } : this.open(next, home)
  }
}

async function fetchPage(
  url: string,
  ca: string,
  headers: Readonly<Record<string, string>>,
  form?: URLSearchParams,
): Promise<Page> {
  const type = form === undefined ? {} : { 'content-type': 'application/x-www-form-urlencoded' }
  const options = { ca, method: form === undefined ? 'GET' : 'POST', headers: { ...headers, ...type }, agent: false }
  const answer = await new Promise<IncomingMessage>((resolve, reject) => {
    request(url, options, resolve).on('error', reject).end(form?.toString())
  })
  return { status: answer.statusCode ?? 0, headers: answer.headers, body: await text(answer) }
}
