// The catalogue: which provider serves which kind of credential.
import { isDeepStrictEqual } from 'node:util'
import { EnvProvider } from './env.ts'
import { ExecProvider } from './exec.ts'
import { FileProvider } from './file.ts'
import { ClientCredentialsProvider } from './oauth2-client-credentials.ts'
import { RefreshTokenProvider } from './oauth2-refresh-token.ts'
import { TokenExchangeProvider } from './oauth2-token-exchange.ts'
import type { CredentialProvider } from './provider.ts'
import type { CredentialSettings } from './settings.ts'
import type { Surroundings } from './surroundings.ts'

/** @param name of the credential in the configuration */
export function createProvider(
  name: string,
  settings: CredentialSettings,
  surroundings: Surroundings,
): CredentialProvider {
  switch (settings.kind) {
    case 'env':
      return new EnvProvider(name, settings, surroundings)
    case 'file':
      return new FileProvider(name, settings)
    case 'exec':
      return new ExecProvider(name, settings, surroundings)
    case 'oauth2-client-credentials':
      return new ClientCredentialsProvider(name, settings, surroundings)
    case 'oauth2-token-exchange':
      return new TokenExchangeProvider(name, settings, surroundings)
    case 'oauth2-refresh-token':
      return new RefreshTokenProvider(name, settings, surroundings)
  }
}

export interface ConfiguredCredential {
  readonly settings: CredentialSettings
  readonly provider: CredentialProvider
  /** Milliseconds that a lease is kept which names no end. */
  readonly ttl: number | undefined
  /** Names of the destinations that it may be sent to. */
  readonly destinations: readonly string[]
}

/**
 * Makes the providers of a configuration. One whose settings are as before is taken over, so that a reload neither
 * forgets its tokens nor asks for new ones.
 */
export function configureCredentials(
  settings: Readonly<Record<string, CredentialSettings>>,
  surroundings: Surroundings,
  previous: ReadonlyMap<string, ConfiguredCredential> = new Map(),
): ReadonlyMap<string, ConfiguredCredential> {
  const credentials = new Map<string, ConfiguredCredential>()
  for (const [name, wanted] of Object.entries(settings)) {
    const before = previous.get(name)
    const same = before !== undefined && isDeepStrictEqual(before.settings, wanted)
    credentials.set(
      name,
      same
        ? before
        : {
            settings: wanted,
            provider: createProvider(name, wanted, surroundings),
            ttl: wanted.ttl,
            destinations: wanted.for,
          },
    )
  }
  return credentials
}
