// Loads oidc-provider without the notice that it prints about each Node release that is not yet a long-term one.
import type * as OidcProvider from 'oidc-provider'

export async function loadOidcProvider(): Promise<typeof OidcProvider> {
  const { warn } = console
  console.warn = () => {}
  try {
    return await import('oidc-provider')
  } finally {
    console.warn = warn
  }
}
