// Makes the source of identity that the configuration names.
import type { Socket } from 'node:net'
import { EmbeddedAuthority } from './embedded-authority.ts'
import { FileSource } from './file-source.ts'
import type { IdentitySettings } from './settings.ts'
import type { SvidSource, TrustBundle } from './source.ts'
import { parseSpiffeId, parseTrustDomain, type TrustDomain, trustDomainOf } from './spiffe-id.ts'
import { parseWorkloadApiAddress } from './workload-api/address.ts'
import type { Peer, Registration } from './workload-api/registration.ts'
import { WorkloadApiServer } from './workload-api/server.ts'
import { WorkloadService } from './workload-api/service.ts'
import { WorkloadApiSource } from './workload-api/source.ts'
import type { WorkloadIdentity } from './workload-api/x509-context.ts'

export interface OpenSourceOptions {
  readonly trustDomain: TrustDomain
  /** Epoch milliseconds. */
  readonly now: () => number
  /** Where the Workload API is when the configuration does not say it: the content of SPIFFE_ENDPOINT_SOCKET. */
  readonly endpoint?: string | undefined
  /** The kernel's word on the peer of a UNIX socket; without it the embedded authority serves nobody. */
  readonly peerOf?: ((socket: Socket) => Peer | undefined) | undefined
  /** Told when the source cannot be read; it goes on with what it had. */
  readonly onProblem: (problem: Error) => void
}

export interface SourceContents {
  readonly identities: readonly WorkloadIdentity[]
  readonly bundles: readonly TrustBundle[]
}

export interface OpenedSource {
  readonly source: SvidSource
  /** With the embedded source: what issues to others, such as the agents of a demonstration. */
  readonly authority: EmbeddedAuthority | undefined
  /** Whether this process is meant to have an identity, so that it is not ready without. */
  readonly needsIdentity: boolean
  /** All that the source gives now, the identity in use first. */
  contents(): SourceContents
  close(): Promise<void>
}

/**
 * With the Workload API it waits for the first answer, a few seconds at most: the source is then there without an identity.
 * With the embedded source the own identity is `spiffe://<trust domain>/postern`.
 * @throws Error when it is not said where the Workload API is
 */
export async function openSource(settings: IdentitySettings, options: OpenSourceOptions): Promise<OpenedSource> {
  switch (settings.source) {
    case 'workload-api': {
      const source = await openWorkloadApi(settings, options)
      const contents = () => ({ identities: source.identities, bundles: source.bundles })
      return { source, authority: undefined, needsIdentity: true, contents, close: async () => source.close() }
    }
    case 'files': {
      const source = await openFiles(settings, options)
      const needsIdentity = settings.certificate !== undefined
      const domains = Object.keys(settings.bundles).map(parseTrustDomain)
      const contents = () => contentsOf(source, domains)
      return { source, authority: undefined, needsIdentity, contents, close: async () => source.close() }
    }
    case 'embedded': {
      const authority = new EmbeddedAuthority(options)
      const service = new WorkloadService({ authority, now: options.now })
      const server = await serve(settings, service, options)
      // The same messages as on the socket, without a socket: to load gRPC costs 60 ms and 20 MB, and exec starts often.
      const door = service.ownDoor(parseSpiffeId(`spiffe://${options.trustDomain}/postern`))
      const source = await WorkloadApiSource.through(door, options)
      const contents = () => ({ identities: source.identities, bundles: source.bundles })
      const close = async () => {
        source.close()
        service.close()
        await server?.close()
      }
      return { source, authority, needsIdentity: true, contents, close }
    }
  }
}

function openWorkloadApi(
  { socket, hint }: Extract<IdentitySettings, { source: 'workload-api' }>,
  { endpoint, trustDomain, now, onProblem }: OpenSourceOptions,
): Promise<WorkloadApiSource> {
  const address = socket ?? endpoint
  if (address === undefined || address === '')
    throw new Error('identity: neither socket nor SPIFFE_ENDPOINT_SOCKET says where the Workload API is')
  return WorkloadApiSource.open({ address: parseWorkloadApiAddress(address), trustDomain, hint, now, onProblem })
}

async function serve(
  { socket, uids = {}, workloads = [] }: Extract<IdentitySettings, { source: 'embedded' }>,
  service: WorkloadService,
  { trustDomain, peerOf }: OpenSourceOptions,
): Promise<WorkloadApiServer | undefined> {
  if (socket === undefined) return undefined
  const address = parseWorkloadApiAddress(socket)
  if (address.kind !== 'unix') throw new Error('identity: the embedded authority serves UNIX sockets only')
  const registrations: readonly Registration[] = [
    ...workloads.map(({ id, ...selectors }) => ({ id: parseSpiffeId(id), ...selectors })),
    ...Object.entries(uids).map(([uid, id]) => ({ uid: Number(uid), id: parseSpiffeId(id) })),
  ]
  for (const { id } of registrations)
    if (trustDomainOf(id) !== trustDomain) throw new Error(`identity: ${id} is not of the trust domain ${trustDomain}`)
  const forOthers = registrations.some(({ uid }) => uid !== process.getuid?.())
  const server = await WorkloadApiServer.open({
    service,
    path: address.path,
    peerOf: peerOf ?? (() => undefined),
    mode: forOthers ? 0o666 : 0o600,
  })
  service.register(registrations)
  return server
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

function contentsOf(source: SvidSource, domains: readonly TrustDomain[]): SourceContents {
  return { identities: identitiesOf(source), bundles: domains.flatMap((domain) => source.bundle(domain) ?? []) }
}

function identitiesOf(source: SvidSource): readonly WorkloadIdentity[] {
  try {
    return [{ svid: source.svid(), hint: '' }]
  } catch {
    return []
  }
}
