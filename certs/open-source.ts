// Makes the source of identity that the configuration names.
import { EmbeddedAuthority } from './embedded-authority.ts'
import { FileSource } from './file-source.ts'
import type { IdentitySettings } from './settings.ts'
import type { SvidSource } from './source.ts'
import { parseSpiffeId, parseTrustDomain, type TrustDomain } from './spiffe-id.ts'

export interface OpenSourceOptions {
  readonly trustDomain: TrustDomain
  /** Epoch milliseconds. */
  readonly now: () => number
  /** Told when the source cannot be read; it goes on with what it had. */
  readonly onProblem: (problem: Error) => void
}

export interface OpenedSource {
  readonly source: SvidSource
  /** With the embedded source: what issues to others, such as the agents of a demonstration. */
  readonly authority: EmbeddedAuthority | undefined
  close(): void
}

/** With the embedded source the own identity is `spiffe://<trust domain>/postern`. */
export async function openSource(settings: IdentitySettings, options: OpenSourceOptions): Promise<OpenedSource> {
  switch (settings.source) {
    case 'files': {
      const source = await openFiles(settings, options)
      return { source, authority: undefined, close: () => source.close() }
    }
    case 'embedded': {
      const authority = new EmbeddedAuthority(options)
      const source = authority.sourceFor(parseSpiffeId(`spiffe://${options.trustDomain}/postern`))
      return { source, authority, close: () => {} }
    }
  }
}

function openFiles(
  { certificate, key, bundles }: Extract<IdentitySettings, { source: 'files' }>,
  options: OpenSourceOptions,
): Promise<FileSource> {
  return FileSource.open({
    ...options,
    identity: certificate === undefined || key === undefined ? undefined : { certificate, key },
    bundles: new Map(Object.entries(bundles).map(([domain, path]) => [parseTrustDomain(domain), path])),
  })
}
