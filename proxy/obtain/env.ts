// Credential from an environment variable of the proxy.
import * as z from 'zod'
import { commonKeys, usernameKey } from './common-settings.ts'
import { makeSecret } from './make-secret.ts'
import type { CredentialProvider, Lease } from './provider.ts'
import { readReference } from './reference.ts'
import type { Surroundings } from './surroundings.ts'

export const envSchema = z
  .strictObject({
    kind: z.literal('env').describe('An environment variable of the proxy.'),
    ...commonKeys,
    variable: z
      .string()
      .regex(/^[A-Za-z_][A-Za-z0-9_]*$/, 'the name of an environment variable')
      .describe('Name of the variable.'),
    username: usernameKey,
  })
  .describe('A credential from an environment variable of the proxy.')

export class EnvProvider implements CredentialProvider {
  readonly kind = 'env'
  readonly #name: string
  readonly #settings: z.output<typeof envSchema>
  readonly #surroundings: Pick<Surroundings, 'environment'>

  constructor(name: string, settings: z.output<typeof envSchema>, surroundings: Pick<Surroundings, 'environment'>) {
    this.#name = name
    this.#settings = settings
    this.#surroundings = surroundings
  }

  partition(): string {
    return ''
  }

  async obtain(): Promise<Lease> {
    const { variable, username } = this.#settings
    const text = await readReference({ from: 'env', name: variable }, this.#surroundings)
    return {
      credential: this.#name,
      kind: this.kind,
      secret: makeSecret(this.#name, text, `the environment variable ${variable}`),
      username,
      expiresAt: undefined,
      scopes: undefined,
      cache: 'miss',
    }
  }
}
