// A token server: found by its metadata or the configuration, asked for tokens, asked to take them back.
import type { Dispatcher } from 'undici'
import { Refusal } from '../../refusal.ts'
import { RevocationImpossible } from '../revocations.ts'
import { readSmallFile } from '../small-file.ts'
import type { Surroundings } from '../surroundings.ts'
import { clientCertificate, proveClient } from './client-authentication.ts'
import type { ClientSettings } from './client-settings.ts'
import { callJson, type JsonAnswer } from './json-call.ts'
import { type Metadata, metadataUrls, parseMetadata } from './metadata.ts'
import type { ServerSettings } from './server-settings.ts'
import { type Asked, parseTokenAnswer, type TokenAnswer, WiderScope } from './token-answer.ts'

/** Parameters of a request, in order; names may repeat. */
export type Form = readonly (readonly [string, string])[]

/** A token, and until when it may be used. */
export interface Token extends TokenAnswer {
  /** Epoch milliseconds, counted from before the request was sent. */
  readonly expiresAt: number | undefined
}

type Settings = ServerSettings & { readonly client?: ClientSettings | undefined }

/** Metadata is asked for again after this. Milliseconds. */
const metadataLife = 3_600_000

export class TokenServer {
  readonly #settings: Settings
  readonly #surroundings: Surroundings
  #metadata: { readonly value: Metadata; readonly goodUntil: number } | undefined
  #connection: { readonly key: string; readonly dispatcher: Dispatcher } | undefined

  constructor(settings: Settings, surroundings: Surroundings) {
    this.#settings = settings
    this.#surroundings = surroundings
  }

  /**
   * @param grant what is asked with; scopes, resources and the client's proof are added here
   * @param asked `scopes` may be fewer than the settings name, never others
   * @throws Refusal `credential_unavailable`, or as `asked.grantEnded` says
   */
  async token(grant: Form, asked: Partial<Asked> & Omit<Asked, 'scopes'>, signal: AbortSignal): Promise<Token> {
    const { resource, audience, parameters } = this.#settings
    const { scopes = this.#settings.scopes } = asked
    const dispatcher = await this.#dispatcher()
    const { token } = await this.#endpoints(dispatcher, signal)
    const sentAt = this.#surroundings.clock()
    const form: Form = [
      ...grant,
      ...(scopes.length === 0 ? [] : ([['scope', scopes.join(' ')]] as const)),
      ...resource.map((uri) => ['resource', uri] as const),
      ...audience.map((name) => ['audience', name] as const),
      ...Object.entries(parameters),
    ]
    const answer = await this.#post(dispatcher, token, form, signal)
    const parsed = this.#read(answer, { ...asked, scopes }, new URL(token).host)
    return {
      ...parsed,
      expiresAt: parsed.expiresIn === undefined ? undefined : sentAt + parsed.expiresIn * 1000,
    }
  }

  /** Takes an access token back (RFC 7009), where the server says how. An unknown token is no error. */
  async revoke(token: string, signal: AbortSignal): Promise<void> {
    const dispatcher = await this.#dispatcher()
    const { revocation } = await this.#endpoints(dispatcher, signal)
    if (revocation === undefined) return
    const answer = await this.#post(
      dispatcher,
      revocation,
      [
        ['token', token],
        ['token_type_hint', 'access_token'],
      ],
      signal,
    )
    if (answer.status === 400 && isUnsupported(answer.json)) throw new RevocationImpossible()
    if (answer.status !== 200)
      throw new Refusal('credential_unavailable', {
        detail: `${new URL(revocation).host} did not take a token back: ${answer.status}`,
        ...(answer.retryAfter === undefined ? {} : { retryAfter: answer.retryAfter }),
      })
  }

  /** Tells this server, and who the proxy is to it, from others: what was given by one is never shown to another. */
  get revokesAt(): string {
    const { issuer, tokenEndpoint, revocationEndpoint, client } = this.#settings
    return JSON.stringify([issuer, tokenEndpoint, revocationEndpoint, client?.id].map((each) => each ?? ''))
  }

  close(): void {
    retire(this.#connection?.dispatcher)
    this.#connection = undefined
  }

  /**
   * What assertions are addressed to: the issuer where it is known (the sole audience that draft-ietf-oauth-rfc7523bis
   * and OAuth SPIFFE client authentication allow), else the token endpoint (RFC 7523 §3).
   */
  get audience(): string {
    return this.#settings.issuer ?? this.#settings.tokenEndpoint ?? ''
  }

  #read(answer: JsonAnswer, asked: Asked, host: string): TokenAnswer {
    try {
      return parseTokenAnswer(answer, asked, host)
    } catch (error) {
      // It is worth more than anybody asked for, so it should be worth nothing; whether that succeeds changes nothing here.
      // Where a user's grant hangs on it, that could end with it (RFC 7009 §2.1).
      if (error instanceof WiderScope && error.refreshToken === undefined)
        this.revoke(error.token.reveal(), AbortSignal.timeout(this.#settings.timeout)).catch(() => {})
      throw error
    }
  }

  async #post(dispatcher: Dispatcher, url: string, form: Form, signal: AbortSignal): Promise<JsonAnswer> {
    const { client, timeout } = this.#settings
    const proof = await proveClient(client, this.audience, this.#surroundings)
    const body = new URLSearchParams([...form, ...proof.form].map(([name, value]) => [name, value])).toString()
    return callJson(dispatcher, { url, authorization: proof.authorization, form: body, timeout }, signal)
  }

  async #endpoints(
    dispatcher: Dispatcher,
    signal: AbortSignal,
  ): Promise<{ token: string; revocation: string | undefined }> {
    const { issuer, tokenEndpoint, revocationEndpoint, client } = this.#settings
    if (tokenEndpoint !== undefined) return { token: tokenEndpoint, revocation: revocationEndpoint }
    if (issuer === undefined)
      throw new Refusal('credential_unavailable', { detail: 'neither issuer nor tokenEndpoint is configured' })
    const metadata = await this.#discover(issuer, dispatcher, signal)
    const aliases = client?.auth === 'tls_client_auth' ? metadata.mtls : undefined
    return {
      token: aliases?.tokenEndpoint ?? metadata.tokenEndpoint,
      revocation: revocationEndpoint ?? aliases?.revocationEndpoint ?? metadata.revocationEndpoint,
    }
  }

  async #discover(issuer: string, dispatcher: Dispatcher, signal: AbortSignal): Promise<Metadata> {
    const { timeout, allowCleartextLoopback } = this.#settings
    const now = this.#surroundings.clock()
    if (this.#metadata !== undefined && now < this.#metadata.goodUntil) return this.#metadata.value
    const [first, second] = metadataUrls(issuer)
    let answer = await callJson(dispatcher, { url: first, timeout }, signal)
    // Many servers know only the older place of the same document.
    if (answer.status === 404) answer = await callJson(dispatcher, { url: second, timeout }, signal)
    const value = parseMetadata(answer, issuer, allowCleartextLoopback)
    this.#metadata = { value, goodUntil: now + metadataLife }
    return value
  }

  /** One for as long as authorities and client certificate stay the same; both are asked anew, since both rotate. */
  async #dispatcher(): Promise<Dispatcher> {
    const { ca, addresses, client } = this.#settings
    const certificate = await clientCertificate(client, this.#surroundings)
    const authorities = await Promise.all(ca.map(readSmallFile))
    const key = [...authorities, certificate?.chain ?? '', certificate?.key ?? ''].join('\n')
    if (this.#connection?.key === key) return this.#connection.dispatcher
    retire(this.#connection?.dispatcher)
    const dispatcher = this.#surroundings.dispatcher({ ca: authorities, addresses, certificate })
    this.#connection = { key, dispatcher }
    return dispatcher
  }
}

/** Lets what is under way end. */
function retire(dispatcher: Dispatcher | undefined): void {
  dispatcher?.close().catch(() => {})
}

/** RFC 7009 §2.2.1: the server takes no token of this kind back, however often it is asked. */
function isUnsupported(json: unknown): boolean {
  return typeof json === 'object' && json !== null && 'error' in json && json.error === 'unsupported_token_type'
}
