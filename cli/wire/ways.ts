// Makes of a configuration what the pipeline needs, and replaces it as a whole, so that no request sees half of two.
import { randomBytes } from 'node:crypto'
import type { SvidSource } from '../../certs/source.ts'
import { compile } from '../../policy/compile.ts'
import { createEngine, type RuleEngine } from '../../policy/rule-engine.ts'
import type { Stops } from '../../proxy/authorize/stopped.ts'
import type { ConfiguredBudgets } from '../../proxy/budget/budgets.ts'
import type { SecretReference } from '../../proxy/config/scalars.ts'
import type { Config } from '../../proxy/config/schema.ts'
import type { IsOwn } from '../../proxy/forward/connector.ts'
import { PooledForwarder } from '../../proxy/forward/dispatcher.ts'
import { type MutualFor, mutualTls } from '../../proxy/forward/mutual.ts'
import { createResolver, type Resolve } from '../../proxy/forward/resolver.ts'
import { guardedDispatcher } from '../../proxy/forward/undici.ts'
import type { Attestors } from '../../proxy/identify/identify.ts'
import { type Catalogue, createPlacements, type StandIn } from '../../proxy/inject/catalogue.ts'
import { type CredentialEvent, CredentialManager } from '../../proxy/obtain/manager.ts'
import { type ConfiguredCredential, configureCredentials } from '../../proxy/obtain/providers.ts'
import { readReference } from '../../proxy/obtain/reference.ts'
import type { RevocationEvent } from '../../proxy/obtain/revocations.ts'
import { readSmallFile } from '../../proxy/obtain/small-file.ts'
import type { Surroundings as ProviderSurroundings } from '../../proxy/obtain/surroundings.ts'
import type { OpenExchanges } from '../../proxy/open-exchanges.ts'
import type { Way } from '../../proxy/pipeline.ts'
import { auditJournal } from '../../proxy/record/journal.ts'
import type { AuditRecord } from '../../proxy/record/line.ts'
import type { RecordSink } from '../../proxy/record/sink.ts'
import type { Secret } from '../../proxy/secret.ts'
import type { Turns } from '../../proxy/turns.ts'
import type { OpenBudgets } from './budgets.ts'
import type { Delegation } from './delegation.ts'

/** Milliseconds that a call to a token server may take to connect. */
const tokenServerPatience = 10_000

export interface WaySurroundings {
  readonly now: () => number
  readonly environment: Readonly<Record<string, string | undefined>>
  readonly svids: SvidSource | undefined
  readonly isOwn: IsOwn
  readonly attestors: Attestors
  readonly open: OpenExchanges
  readonly turns: Turns
  readonly stops: Stops
  readonly delegation: Pick<Delegation, 'delegations' | 'door' | 'delegated'>
  readonly budgets: Pick<OpenBudgets, 'of'>
  readonly sink: RecordSink
  readonly fingerprint: (secret: Secret) => string
  readonly observe: (record: AuditRecord) => void
  readonly onCredential: (event: CredentialEvent) => void
  readonly onRevocation: (event: RevocationEvent) => void
  /** Where tokens that are still to be taken back outlive the process; undefined: nowhere. */
  readonly revocationFile: string | undefined
  readonly onProblem: (problem: Error) => void
  readonly onError: (error: unknown) => void
}

/** What one configuration makes. */
interface Made {
  readonly config: Config
  readonly policy: RuleEngine
  readonly budgets: ConfiguredBudgets
  readonly credentials: ReadonlyMap<string, ConfiguredCredential>
  readonly placements: Catalogue
  readonly forwarder: PooledForwarder
}

export class Ways {
  readonly #surroundings: WaySurroundings
  readonly #manager: CredentialManager
  readonly #standInKey = randomBytes(32)
  /** Reads the configuration in force, also for providers that outlive the one that made them. */
  readonly #resolve: Resolve = createResolver(() => this.#made.config.resolve)
  #made: Made
  #current: Way

  constructor(config: Config, surroundings: WaySurroundings) {
    this.#surroundings = surroundings
    this.#made = this.#make(config)
    this.#manager = new CredentialManager(this.#made.credentials, {
      clock: surroundings.now,
      onEvent: surroundings.onCredential,
      onRevocation: surroundings.onRevocation,
      onProblem: surroundings.onProblem,
      ...(surroundings.revocationFile === undefined ? {} : { revocationFile: surroundings.revocationFile }),
    })
    this.#current = this.#wayOf(this.#made)
  }

  get current(): Way {
    return this.#current
  }

  get standIns(): readonly StandIn[] {
    return this.#made.placements.standIns
  }

  /** How a host is named by a destination to which some rule allows anybody something. */
  couldAllow(host: string): ReturnType<RuleEngine['couldAllow']> {
    return this.#made.policy.couldAllow(host)
  }

  /** How many hosts of each destination are remembered. */
  get hostsRemembered(): PooledForwarder['remembered'] {
    return this.#made.forwarder.remembered
  }

  get policyVersion(): string {
    return this.#made.policy.version
  }

  /** How much is used of each. */
  get budgets(): ReturnType<ConfiguredBudgets['status']> {
    return this.#made.budgets.status()
  }

  /**
   * Forgets the credentials of those who are stopped, and takes back at their source what was made for them.
   * @returns resolves when what is still to be taken back would survive the process
   */
  dropStopped(): Promise<void> {
    const { stops, now } = this.#surroundings
    const { kept } = this.#manager.drop((subject) => stops.find(subject, now()) !== undefined)
    return kept
  }

  /** @throws when it cannot be used; the one before stays */
  reload(config: Config): void {
    const before = this.#made
    const made = this.#make(config, before)
    this.#made = made
    this.#current = this.#wayOf(made)
    this.#manager.replace(made.credentials)
    void before.forwarder.close()
  }

  async close(): Promise<void> {
    await this.#made.forwarder.close(new Error('the proxy is shutting down'))
    await this.#manager.close()
  }

  #make(config: Config, before?: Made): Made {
    const { fingerprint, isOwn, budgets } = this.#surroundings
    const { rules, credentials, destinations } = config
    return {
      config,
      policy: createEngine(compile({ rules, destinations: Object.values(destinations) }), before?.policy),
      budgets: budgets.of(config.budgets),
      placements: createPlacements({ rules, credentials, standInKey: this.#standInKey, fingerprint }),
      credentials: configureCredentials(credentials, this.#providers(), before?.credentials),
      forwarder: new PooledForwarder(this.#resolve, isOwn, this.#mutualTls()),
    }
  }

  #wayOf({ config, policy, budgets, placements, forwarder }: Made): Way {
    const { attestors, open, turns, stops, delegation, sink, fingerprint, observe, onError } = this.#surroundings
    return {
      attestors,
      ...delegation,
      stops,
      open,
      turns,
      policy,
      destinations: new Map(Object.entries(config.destinations)),
      budgets,
      credentials: this.#manager,
      placements,
      forwarder,
      journal: auditJournal({
        sink,
        settings: config.records,
        fingerprint,
        placementOf: (rule) => placements.kindOf(rule),
        policyVersion: () => policy.version,
        observe,
        failed: onError,
      }),
      stopwatch: () => performance.now(),
    }
  }

  #mutualTls(): MutualFor {
    const { now, environment, svids } = this.#surroundings
    const reference = (wanted: SecretReference) => readReference(wanted, { environment })
    return mutualTls({ svids, readers: { file: readSmallFile, reference, now } })
  }

  #providers(): ProviderSurroundings {
    const { now, environment, svids, isOwn } = this.#surroundings
    return {
      clock: now,
      environment,
      svids,
      dispatcher: (connection) =>
        guardedDispatcher({ ...connection, patience: tokenServerPatience }, this.#resolve, isOwn),
    }
  }
}
