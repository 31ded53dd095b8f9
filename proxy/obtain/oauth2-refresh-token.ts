// Access token from a refresh token in a file (RFC 6749 §6); a new refresh token is written back before the access token is used.
import * as z from 'zod'
import { filePath } from '../config/scalars.ts'
import { Refusal } from '../refusal.ts'
import { endingKeys } from './common-settings.ts'
import { clientSchema } from './oauth2/client-settings.ts'
import { checkServer, serverKeys } from './oauth2/server-settings.ts'
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
    refreshTokenFile: filePath.describe(
      'File that holds the refresh token. The proxy must be able to write to it and its folder: servers give a new one at each use.',
    ),
  })
  .superRefine(checkServer)
  .describe('An access token from a refresh token in a file (RFC 6749 §6).')

/** Once a refresh token is sent, the answer is all that is left of the grant: nobody stops waiting for it but the call's own time-out. */
const unstoppable = new AbortController().signal

type Settings = z.output<typeof refreshTokenSchema>

export class RefreshTokenProvider implements CredentialProvider {
  readonly kind = 'oauth2-refresh-token'
  readonly #name: string
  readonly #path: string
  readonly #server: TokenServer
  /** The last one that the server would not take. Asking again with it could only end what else hangs on the grant. */
  #ended: string | undefined
  /** One that was given but could not be written; `instead` is what the file still holds. */
  #unwritten: { readonly instead: string; readonly refreshToken: string } | undefined

  #underWay: Promise<unknown> = Promise.resolve()

  constructor(name: string, settings: Settings, surroundings: Surroundings) {
    this.#name = name
    this.#path = settings.refreshTokenFile
    this.#server = new TokenServer(settings, surroundings)
  }

  get revokesAt(): string {
    return this.#server.revokesAt
  }

  partition(): string {
    return ''
  }

  /** In turn for each file: a refresh token that is used twice counts as stolen, and the server ends the grant (RFC 9700 §4.14). */
  obtain(_need: Need, signal: AbortSignal): Promise<Lease> {
    const refresh = inTurn(this.#path, () => this.#refresh(signal))
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

  async #refresh(signal: AbortSignal): Promise<Lease> {
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
      return this.#refresh(signal)
    }
    const token = await this.#spend(refreshToken)
    if (token.refreshToken !== undefined && token.refreshToken !== refreshToken) {
      this.#unwritten = { instead: stored, refreshToken: token.refreshToken }
      await replacement.commit(token.refreshToken)
      this.#unwritten = undefined
    }
    return tokenLease(this.#name, this.kind, token)
  }

  async #spend(refreshToken: string) {
    try {
      return await this.#server.token(
        [
          ['grant_type', 'refresh_token'],
          ['refresh_token', refreshToken],
        ],
        { exchange: false, requestedTokenType: undefined, grantEnded: 'consent_required' },
        unstoppable,
      )
    } catch (error) {
      if (error instanceof Refusal && error.reason === 'consent_required') this.#ended = refreshToken
      throw error
    }
  }
}
