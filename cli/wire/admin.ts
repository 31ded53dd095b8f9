// Opens the admin socket, where one is configured: what it says of the house, and what can be asked of it.
import { peerUid } from '../../proxy/identify/kernel/peer.ts'
import { adminServer } from '../../proxy/record/admin.ts'
import type { AdminReload, AdminStatus } from '../../proxy/record/admin-protocol.ts'
import { rightsLeft } from '../permissions.ts'
import { version } from '../version.ts'
import type { House } from './house.ts'
import type { OpenStops } from './stops.ts'

/** When the configuration in force was loaded, and why a later one was not. */
export interface Loaded {
  /** Epoch milliseconds. */
  loadedAt: number
  error: string | undefined
}

export interface AdminSurroundings {
  /** Epoch milliseconds. */
  readonly startedAt: number
  readonly loaded: Loaded
  /** Path of the configuration. */
  readonly file: string | undefined
  readonly reload: (() => Promise<boolean>) | undefined
  readonly policyVersion: () => string
  readonly records: () => AdminStatus['records']
  readonly connections: () => number
  readonly stops: OpenStops
  readonly federation: () => NonNullable<AdminStatus['federation']>
  readonly budgets: () => Iterable<NonNullable<AdminStatus['budgets']>[number]>
}

/** @throws when the socket is in use, or others could reach or replace it */
export async function openAdmin({ config, log, closes, readiness }: House, of: AdminSurroundings): Promise<void> {
  const { socket } = config().admin
  if (socket === undefined) return
  const { loaded, file, stops } = of
  const status = (): AdminStatus => {
    const federation = of.federation()
    const budgets = [...of.budgets()]
    const permissions = rightsLeft()
    return {
      version,
      pid: process.pid,
      started_at: new Date(of.startedAt).toISOString(),
      ready: readiness.isReady,
      reasons: readiness.reasons,
      policy_version: of.policyVersion(),
      config: {
        ...(file === undefined ? {} : { file }),
        loaded_at: new Date(loaded.loadedAt).toISOString(),
        ...(loaded.error === undefined ? {} : { error: loaded.error }),
      },
      records: of.records(),
      connections: of.connections(),
      stops: stops.status(),
      ...(permissions === undefined ? {} : { permissions: [...permissions] }),
      ...(federation.length === 0 ? {} : { federation }),
      ...(budgets.length === 0 ? {} : { budgets }),
    }
  }
  const reload = async (): Promise<AdminReload> => {
    if (of.reload === undefined) return { reloaded: false, errors: ['there is no file to read again'] }
    if (await of.reload()) return { reloaded: true, policy_version: of.policyVersion() }
    return { reloaded: false, errors: [loaded.error ?? 'the file could not be read'] }
  }
  const admin = await adminServer({
    socket,
    peerUid,
    uids: [process.getuid?.() ?? 0],
    status,
    reload,
    stops: { list: stops.describe, order: stops.order, lift: stops.lift },
    turnedAway: (uid) => log.warn({ uid }, 'a caller on the admin socket was turned away'),
  })
  closes(() => admin.close())
}
