// Puts the house together: this file and its folder are the only ones that name concrete classes. `open` gives a running proxy.
import type { EmbeddedAuthority } from '../certs/embedded-authority.ts'
import { LeafIssuer } from '../certs/leaf-issuer.ts'
import type { Doors } from '../proxy/capture/listener.ts'
import { requestId } from '../proxy/capture/request-id.ts'
import type { ListenAddress, ListenSettings } from '../proxy/capture/settings.ts'
import type { Config } from '../proxy/config/schema.ts'
import { ownPorts } from '../proxy/forward/own.ts'
import { createResolver } from '../proxy/forward/resolver.ts'
import type { Attestor } from '../proxy/identify/attestor.ts'
import { verifyUserToken } from '../proxy/identify/user-token.ts'
import { OpenExchanges } from '../proxy/open-exchanges.ts'
import { admit, handle, judge, record, room, tunnel } from '../proxy/pipeline.ts'
import { type Diagnostics, diagnostics } from '../proxy/record/diagnostics.ts'
import { eventJournal } from '../proxy/record/event-journal.ts'
import { observer, posternMetrics } from '../proxy/record/metrics.ts'
import { processMetrics } from '../proxy/record/process-metrics.ts'
import { Readiness } from '../proxy/record/readiness.ts'
import { Turns } from '../proxy/turns.ts'
import { version } from './version.ts'
import { openAdmin } from './wire/admin.ts'
import { attestorsOf } from './wire/attestors.ts'
import { openBudgets } from './wire/budgets.ts'
import { openDelegation } from './wire/delegation.ts'
import { openDns } from './wire/dns.ts'
import { federated, federationStatus, openFederation } from './wire/federation.ts'
import { handoffRecorder, takenBackBy } from './wire/handoffs.ts'
import { openHealth } from './wire/health.ts'
import type { House } from './wire/house.ts'
import { openIdentity } from './wire/identity.ts'
import { openCluster } from './wire/kubernetes.ts'
import { localAddresses, openListeners } from './wire/listeners.ts'
import { openFingerprints, openRecords } from './wire/records.ts'
import type { Room } from './wire/room.ts'
import { openStopsOf, stopFile } from './wire/stops.ts'
import { hasOwn, LateSource } from './wire/trail.ts'
import { expectConstrained, leaveTrust, openAuthority } from './wire/trust.ts'
import { openUsers } from './wire/users.ts'
import { Ways } from './wire/ways.ts'

export interface Extras {
  readonly environment: Readonly<Record<string, string | undefined>>
  /** Listeners in place of those of the configuration. */
  readonly listen?: readonly ListenSettings[]
  /** Attestors that a listener's `callers` may name, besides the built-in ones. */
  readonly attestors?: ReadonlyMap<string, Attestor>
  /** Where callers are, unless here. */
  readonly room?: Room
  readonly log?: Diagnostics
  /** Path of the configuration, for the status. */
  readonly file?: string
  /** Other processes may write records into the same file, as commands side by side do. */
  readonly sharedRecords?: boolean
  /** What the admin socket does when asked to reload; without it, it says that there is nothing to reload. */
  readonly reload?: () => Promise<boolean>
}

/** A proxy at work. */
export interface Gate {
  /** Where each listener stands, by name. */
  readonly addresses: ReadonlyMap<string, ListenAddress>
  /** The authority that agents must trust. */
  readonly caPem: string
  /** Stand-ins for credentials, and the variables in which SDKs look for them. */
  readonly standIns: readonly { readonly variable: string; readonly value: string }[]
  /** With `identity: { source: embedded }`: what issues identities to agents. */
  readonly authority: EmbeddedAuthority | undefined
  /** The port of /livez, /readyz and /metrics, where one is configured. */
  readonly metricsPort: number | undefined
  /** Takes another configuration into use for requests to come. Listeners, identity, admin and records stay as they are. */
  reload(config: Config): void
  /** Notes a configuration that was refused, for status and metrics. */
  reloadFailed(error: Error): void
  /** Looks for the record file by its name again, as after a rotation. */
  reopenRecords(): void
  /** Not ready, no new connections, exchanges end within the grace, tokens are taken back, records are written last. */
  close(reason?: string, graceMilliseconds?: number): Promise<void>
}

/** Milliseconds between two looks at what is under way. */
const reviewEvery = 1_000

type Closing = (() => Promise<unknown> | unknown)[]

/** @throws when the identity, the records, a listener or a server of ours cannot be opened; what was opened is closed again */
export async function open(config: Config, extras: Extras): Promise<Gate> {
  const closing: Closing = []
  try {
    return await raise(config, extras, closing)
  } catch (error) {
    await closeAll(closing)
    throw error
  }
}

/** In the reverse order of opening. */
async function closeAll(closing: Closing): Promise<void> {
  for (const close of closing.splice(0).reverse()) await close()
}

async function raise(config: Config, extras: Extras, closing: Closing): Promise<Gate> {
  const { environment } = extras
  const now = Date.now
  const startedAt = now()
  const log = extras.log ?? diagnostics({ readable: process.stderr.isTTY === true })
  const listen = extras.listen ?? config.listen

  const metrics = posternMetrics({ version, node: process.version })
  closing.push(processMetrics(metrics.registry))
  const readiness = new Readiness(['listeners'])
  const checks = { loadedAt: now(), error: undefined as string | undefined }
  metrics.lastReload.set(checks.loadedAt / 1_000)

  const signing = config.identity && hasOwn(config.identity) ? new LateSource() : undefined
  const records = await openRecords(config.records, {
    alarms: { log, metrics, readiness },
    environment,
    now,
    shared: extras.sharedRecords === true,
    svids: signing,
  })
  const { sink, trail } = records
  closing.push(() => records.close())
  const fingerprint = await openFingerprints(config.records, environment)

  const ports = new Set<number>()
  const isOwn = ownPorts(ports, localAddresses)
  let inForce = config
  const house: House = {
    environment,
    now,
    log,
    metrics,
    readiness,
    isOwn,
    config: () => inForce,
    resolve: createResolver(() => inForce.resolve),
    closes: (close) => closing.push(close),
  }

  // Before all that it tells of, so that it answers until that has ended.
  const metricsPort = await openHealth(config.admin, house)
  if (metricsPort !== undefined) ports.add(metricsPort)

  const identity = config.identity && (await openIdentity(config.identity, house))
  if (identity !== undefined) signing?.open(identity.source)
  // The last records are signed while there is an identity.
  closing.push(() => records.seal())
  const trusted = identity && (await openFederation(identity.source, house))

  const podAuthority = await openAuthority(config, house)
  metrics.caExpiry.set(podAuthority.expiresAt / 1_000)
  if (config.trust !== undefined) await leaveTrust(config.trust.directory, podAuthority.certificatePem, environment)
  const cluster =
    config.kubernetes &&
    openCluster(config.kubernetes, {
      resolve: house.resolve,
      isOwn,
      now,
      onProblem: (problem) => log.warn({ err: problem }, 'the keys of the cluster cannot be read'),
    })
  closing.push(() => cluster?.close())
  const exchanges = new OpenExchanges()
  const turns = new Turns()
  /** What stops end; there is something to end as soon as there are listeners. */
  let review = (): number => 0
  let dropStopped = (): Promise<void> => Promise.resolve()
  const journal = eventJournal({ sink, settings: config.records, now, newId: requestId })
  const stops = await openStopsOf(house, journal, () => ({ cut: review(), kept: dropStopped() }))
  const budgets = await openBudgets(stopFile(config.stop, config.admin.socket), {
    now,
    onProblem: (problem) => log.error({ err: problem }, 'what is spent of budgets cannot be kept'),
  })
  closing.push(() => budgets.close())
  const users = openUsers(config.users, {
    resolve: house.resolve,
    isOwn,
    now,
    onProblem: (problem) => log.warn({ err: problem }, 'the keys of a sign-in server cannot be read'),
  })
  closing.push(() => users.close())
  const delegation = await openDelegation({
    trustDomain: config.trustDomain,
    facts: extras.room?.facts,
    resolve: house.resolve,
    isOwn,
    onProblem: (problem) => log.warn({ err: problem }, 'the keys of an issuer of delegations cannot be read'),
    settings: () => inForce.delegation,
    federated: () => [...(trusted?.federated.keys() ?? [])],
    stops,
    verifyUser: (token, at) => verifyUserToken(token, users.issuers, at),
    record: handoffRecorder(journal),
    totals: budgets.totals,
    revoke: (jti, reason, until) => stops.takeBack(jti, reason, Math.max(1, until - now()), takenBackBy),
    now,
  })
  closing.push(() => delegation.close())
  const ways = new Ways(config, {
    now,
    environment,
    svids: trusted,
    isOwn,
    attestors: attestorsOf(listen, extras.attestors ?? new Map(), {
      trustDomain: config.trustDomain,
      trusted,
      cluster,
      now,
    }),
    open: exchanges,
    turns,
    stops: stops.list,
    delegation,
    budgets,
    sink,
    fingerprint,
    observe: observer(metrics),
    onCredential: ({ provider, result }) => {
      if (result !== 'hit') metrics.credentialRequests.add(1, provider, result)
    },
    onRevocation({ credential, result }) {
      metrics.credentialRevocations.add(1, credential, result)
      if (result !== 'revoked')
        log.warn({ credential, result }, 'a token of somebody who was stopped is not taken back yet')
    },
    revocationFile: stopFile(config.stop, config.admin.socket)?.replace(/(\.jsonl)?$/, '.revocations'),
    onProblem: (problem) => log.error({ err: problem }, 'tokens that are to be taken back cannot be kept'),
    onError: (error) => log.error({ err: error }, 'a record could not be made'),
  })
  closing.push(() => ways.close())
  metrics.budgetUsed.from(() => ways.budgets.map(({ name, used }) => [[name], used] as const))
  metrics.hostsRemembered.from(() => ways.hostsRemembered.map(([name, hosts]) => [[name], hosts] as const))
  dropStopped = () => ways.dropStopped()
  review = () => exchanges.review((reached) => judge(reached, ways.current, now()))
  // What passes with time (an expiry, a condition on the hour) has no event of its own.
  const looking = setInterval(review, reviewEvery)
  looking.unref()
  closing.push(() => clearInterval(looking))

  const doors: Doors = {
    handle: (captured, reply) => handle(captured, reply, ways.current),
    tunnel: (captured, reply) => tunnel(captured, reply, ways.current),
    admit: (connection, host, port) => admit(connection, host, port, ways.current, now()),
    room: (connection) => room(connection, ways.current),
    failed: (failure) => record(failure, ways.current),
  }
  const namesOf = await openDns(config.dns, (host) => ways.couldAllow(host), ports, house, extras.room)
  const listeners = await openListeners(listen, {
    doors,
    leaves: new LeafIssuer(podAuthority, { now }),
    svids: identity?.source,
    now,
    log,
    isOwn,
    namesOf,
    room: extras.room,
    accepted: ({ accept }) => metrics.connections.add(1, accept),
    limited: (limit) => metrics.limitsReached.add(1, limit),
    turns,
  })
  let grace = 0
  closing.push(() => listeners.close(grace))
  metrics.connectionsActive.from(() => listeners.connections)
  metrics.turnsWaiting.from(() => turns.waiting + listeners.waiting)
  for (const port of listeners.ports) ports.add(port)
  readiness.ready('listeners')

  const reload = (next: Config) => {
    expectConstrained(config, next)
    const trust = trusted?.prepare(federated(next.federation))
    ways.reload(next)
    inForce = next
    void trust?.()
    review()
    checks.loadedAt = now()
    checks.error = undefined
    metrics.reloadSuccess.add(1)
    metrics.lastReload.set(checks.loadedAt / 1_000)
  }
  const reloadFailed = (error: Error) => {
    checks.error = error.message
    metrics.reloadFailure.add(1)
  }
  await openAdmin(house, {
    startedAt,
    loaded: checks,
    file: extras.file,
    reload: extras.reload,
    policyVersion: () => ways.policyVersion,
    records: () => ({ to: config.records.to, healthy: sink.healthy, ...trail.status() }),
    connections: () => listeners.connections,
    stops,
    federation: () => federationStatus(trusted),
    budgets: () => ways.budgets,
  })

  return {
    addresses: listeners.addresses,
    caPem: podAuthority.certificatePem,
    standIns: ways.standIns,
    authority: identity?.authority,
    metricsPort,
    reload,
    reloadFailed,
    reopenRecords: () => sink.reopen(),
    async close(reason = 'closed', graceMilliseconds = 0) {
      readiness.notReady('shutdown', reason)
      grace = graceMilliseconds
      await closeAll(closing)
    },
  }
}
