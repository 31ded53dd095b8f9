// postern identity: what this process would get as its SPIFFE identity, and whom it would trust. Keys are never shown; a JWT-SVID when it is asked for.
import { X509Certificate } from 'node:crypto'
import { Command } from 'commander'
import { decodeJwt } from 'jose'
import { AddressError } from '../certs/workload-api/address.ts'
import { loadConfig } from '../proxy/config/load.ts'
import { ConfigError, printable } from '../proxy/config/problems.ts'
import { configPath } from './config-path.ts'
import { CommandError, endWith, exit, usageExit } from './exit.ts'
import { federatedLine } from './federated.ts'
import { type IdentityPlace, type IdentityView, lookAtIdentity } from './wire/identity.ts'

interface Options {
  readonly socket?: string
  readonly config?: string
  readonly audience: readonly string[]
  readonly json?: true
}

const examples = `
Examples:
  postern identity                                       what SPIFFE_ENDPOINT_SOCKET leads to, else the configuration
  postern identity --socket unix:///run/spire/agent.sock
  postern identity -c /etc/postern/postern.yaml --json   for programs
  postern identity --audience https://api.example        with a JWT-SVID, which is a credential

The Workload API tells processes apart: run it as the user, and in the pod, that the proxy runs as.
Exit codes: 0 there is an identity, and the JWT-SVID if asked for; 64 wrong usage, 69 there is none, 78 the configuration is wrong or has no identity.`

export function identityCommand(): Command {
  return new Command('identity')
    .description('Show what this process would get as its SPIFFE identity, and whom it would trust.')
    .option('--socket <address>', 'of a Workload API: unix:///path, or tcp://IP:port')
    .option('-c, --config <file>', 'configuration with the section identity (default: as for postern run)')
    .option(
      '--audience <audience>',
      'fetch a JWT-SVID for it too, and print it (may be repeated)',
      (value: string, before: readonly string[]) => [...before, value],
      [] as readonly string[],
    )
    .option('--json', 'for programs')
    .addHelpText('after', examples)
    .exitOverride(usageExit)
    .action((options: Options) => endWith(() => identity(options, process.env)))
}

async function identity(options: Options, environment: Readonly<Record<string, string | undefined>>): Promise<void> {
  const place = await placeOf(options, environment)
  const { audience } = options
  const view = await look(place, audience)
  for (const problem of view.problems) console.error(printable(problem))
  if (view.contents.identities.length === 0 || (audience.length > 0 && view.token === undefined))
    process.exitCode = exit.unavailable
  console.log(options.json === true ? JSON.stringify(forPrograms(view)) : forPeople(view, Date.now()))
}

async function look(place: IdentityPlace, audience: readonly string[]): Promise<IdentityView> {
  try {
    return await lookAtIdentity(place, audience, Date.now)
  } catch (error) {
    throw error instanceof AddressError ? new CommandError(exit.usage, error.message) : error
  }
}

async function placeOf(
  { socket, config: named }: Options,
  environment: Readonly<Record<string, string | undefined>>,
): Promise<IdentityPlace> {
  if (socket !== undefined) return { socket }
  const endpoint = environment.SPIFFE_ENDPOINT_SOCKET
  if (named === undefined && endpoint !== undefined && endpoint !== '') return { socket: endpoint }
  const file = configPath(named, environment)
  try {
    const config = await loadConfig(file, environment)
    const { identity: settings, trustDomain } = config
    if (settings === undefined) throw new CommandError(exit.config, `${file} has no section identity.`)
    return { settings, trustDomain, endpoint, config }
  } catch (error) {
    if (error instanceof ConfigError) throw new CommandError(exit.config, error.render())
    throw error
  }
}

function forPrograms({ contents: { identities, bundles }, federation, token }: IdentityView): object {
  return {
    identities: identities.map(({ svid, hint }) => ({
      spiffe_id: svid.id,
      ...(hint === '' ? {} : { hint }),
      serial: serialOf(svid.chain),
      expires_at: new Date(svid.expiresAt).toISOString(),
      certificates: svid.chain.length,
    })),
    bundles: bundles.map(({ trustDomain, x509Authorities, jwtAuthorities = [], revocationLists = [] }) => ({
      trust_domain: trustDomain,
      x509_authorities: x509Authorities.length,
      jwt_authorities: jwtAuthorities.length,
      revocation_lists: revocationLists.length,
    })),
    ...(federation.length === 0 ? {} : { federation }),
    ...(token === undefined ? {} : { jwt_svid: { token, expires_at: expiryOf(token).toISOString() } }),
  }
}

function forPeople({ contents: { identities, bundles }, federation, token }: IdentityView, now: number): string {
  const own = identities.flatMap(({ svid, hint }, at) => [
    svid.id,
    ...(at === 0 && identities.length > 1 ? ['  the one in use'] : []),
    ...(hint === '' ? [] : [`  hint     ${printable(hint)}`]),
    `  serial   ${serialOf(svid.chain)}`,
    `  expires  ${new Date(svid.expiresAt).toISOString()} (in ${Math.round((svid.expiresAt - now) / 60_000)} min)`,
    '',
  ])
  const trust = bundles.map(
    ({ trustDomain, x509Authorities, jwtAuthorities = [], revocationLists = [] }) =>
      `  ${trustDomain}: ${x509Authorities.length} roots, ${jwtAuthorities.length} keys for JWT-SVIDs, ${revocationLists.length} revocation lists`,
  )
  return [
    ...(own.length === 0 ? ['No identity.', ''] : own),
    ...(trust.length === 0 ? ['No trust in anybody.'] : ['Trusts', ...trust]),
    ...federation.map(federatedLine),
    ...(token === undefined ? [] : ['', `JWT-SVID, until ${expiryOf(token).toISOString()}`, token]),
  ].join('\n')
}

/** The source has seen to it that there is one. */
function expiryOf(token: string): Date {
  return new Date((decodeJwt(token).exp ?? 0) * 1_000)
}

function serialOf([leaf]: readonly Uint8Array[]): string {
  return leaf === undefined ? '' : new X509Certificate(leaf).serialNumber.toLowerCase()
}
