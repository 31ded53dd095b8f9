// Access token from a refresh token in a file (RFC 6749 §6); a new refresh token is written back before the access token is used.
import * as z from 'zod'
import { filePath } from '../config/scalars.ts'
import { Refusal } from '../refusal.ts'
import { endingKeys } from './common-settings.ts'
import { clientSchema } from './oauth2/client-settings.ts'
import { checkDelegated, Narrowing, optionalDelegatedKey } from './oauth2/narrowing.ts'
import { checkServer, serverKeys } from './oauth2/server-settings.ts'
import { WiderScope } from './oauth2/token-answer.ts'
import { tokenLease } from './oauth2/token-lease.ts'
import { TokenServer } from './oauth2/token-server.ts'
import type { CredentialProvider, Lease, Need } from './provider.ts'
import { inTurn, prepareReplacement } from './replace-file.ts'
import { readSmallFile } from './small-file.ts'
import type { Surroundings } from './surroundings.ts'

export const refreshTokenSchema = z
  .strictObject({
    kind: z.literal('oauth2-refresh-token').describe('An access token from a refresh token in a file (RFC 6749 §6).'),
    ...endingKeys,
    ...serverKeys,
    client: clientSchema.optional(),
    delegated: optionalDelegatedKey,
    refreshTokenFile: filePath.describe(
      'File that holds the refresh token. The proxy must be able to write to it and its folder: servers give a new one at each use.',
    ),
  })
  .superRefine(checkServer)
  .superRefine(checkDelegated)
  .describe('An access token from a refresh token in a file (RFC 6749 §6).')

/** Once a refresh token is sent, the answer is all that is left of the grant: nobody stops waiting for it but the call's own time-out. */
const unstoppable = new AbortController().signal

type Settings = z.output<typeof refreshTokenSchema>

export class RefreshTokenProvider implements CredentialProvider {
  readonly kind = 'oauth2-refresh-token'
  readonly #name: string
  readonly #path: string
  readonly #server: TokenServer
  /** Undefined: the same for all. */
  readonly #narrowing: Narrowing | undefined
  /** The last one that the server would not take. Asking again with it could only end what else hangs on the grant. */
  #ended: string | undefined
  /** One that was given but could not be written; `instead` is what the file still holds. */
  #unwritten: { readonly instead: string; readonly refreshToken: string } | undefined

  #underWay: Promise<unknown> = Promise.resolve()

  constructor(name: string, settings: Settings, surroundings: Surroundings) {
    this.#name = name
    this.#path = settings.refreshTokenFile
    this.#server = new TokenServer(settings, surroundings)
    this.#narrowing = settings.delegated && new Narrowing(settings.scopes, settings.delegated)
  }

  get revokesAt(): string {
    return this.#server.revokesAt
  }

  partition(need: Need): string {
    return this.#narrowing?.of(need)?.key ?? ''
  }

  /** In turn for each file: a refresh token that is used twice counts as stolen, and the server ends the grant (RFC 9700 §4.14). */
  async obtain(need: Need, signal: AbortSignal): Promise<Lease> {
    const scopes = this.#narrowing?.scopesFor(need)
    const refresh = inTurn(this.#path, () => this.#refresh(scopes, signal))
    this.#underWay = refresh.catch(() => {})
    return refresh
  }

  revoke(lease: Lease, signal: AbortSignal): Promise<void> {
    return this.#server.revoke(lease.secret.reveal(), signal)
  }

  async close(): Promise<void> {
    await this.#underWay
    this.#server.close()
  }

  async #refresh(scopes: readonly string[] | undefined, signal: AbortSignal): Promise<Lease> {
    signal.throwIfAborted()
    const stored = await readSmallFile(this.#path)
    const refreshToken = this.#unwritten?.instead === stored ? this.#unwritten.refreshToken : stored
    if (refreshToken === '') throw new Refusal('consent_required', { detail: `${this.#path} is empty` })
    if (refreshToken === this.#ended)
      throw new Refusal('consent_required', { detail: `the refresh token in ${this.#path} has ended` })
    // Made ready before the token is spent: what cannot be written now could not be written afterwards.
    await using replacement = await prepareReplacement(this.#path)
    if (refreshToken !== stored) {
      await replacement.commit(refreshToken)
      this.#unwritten = undefined
      return this.#refresh(scopes, signal)
    }
    const write = async (given: string | undefined) => {
      if (given === undefined || given === refreshToken) return
      this.#unwritten = { instead: stored, refreshToken: given }
      await replacement.commit(given)
      this.#unwritten = undefined
    }
    try {
      const token = await this.#spend(refreshToken, scopes)
      await write(token.refreshToken)
      return tokenLease(this.#name, this.kind, token)
    } catch (error) {
      // The access token is not used, but the refresh token before it has been spent.
      if (error instanceof WiderScope) await write(error.refreshToken?.reveal())
      throw error
    }
  }

  /** Fewer scopes than were granted bind this access token alone; the refresh token keeps them all (RFC 6749 §6). */
  async #spend(refreshToken: string, scopes: readonly string[] | undefined) {
    try {
      return await this.#server.token(
        [
          ['grant_type', 'refresh_token'],
          ['refresh_token', refreshToken],
        ],
        {
          ...(scopes === undefined ? {} : { scopes }),
          exchange: false,
          requestedTokenType: undefined,
          grantEnded: 'consent_required',
        },
        unstoppable,
      )
    } catch (error) {
      if (error instanceof Refusal && error.reason === 'consent_required') this.#ended = refreshToken
      throw error
    }
  }
}
