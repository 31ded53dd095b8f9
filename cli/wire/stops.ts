// Opens what stops come from (the file, the folder, the feed), and keeps the one list of what is stopped.
import { createPublicKey, type KeyObject, randomBytes } from 'node:crypto'
import { basename, dirname, join } from 'node:path'
import { type CompactJWSHeaderParameters, type CryptoKey, importJWK } from 'jose'
import type { StopList } from '../../policy/stop/list.ts'
import type { Stop } from '../../policy/stop/stop.ts'
import type { IsOwn } from '../../proxy/forward/connector.ts'
import { fetchDocument } from '../../proxy/forward/document.ts'
import type { Resolve } from '../../proxy/forward/resolver.ts'
import { guardedDispatcher } from '../../proxy/forward/undici.ts'
import { KeySet } from '../../proxy/identify/key-set.ts'
import { readSmallFile } from '../../proxy/obtain/small-file.ts'
import type { AdminStatus } from '../../proxy/record/admin-protocol.ts'
import { type AdminOutcome, type AdminStops, adminStopOf } from '../../proxy/record/admin-stops.ts'
import type { EventJournal } from '../../proxy/record/event-journal.ts'
import { DropFolder } from '../../proxy/stop/drop.ts'
import { StopFeed } from '../../proxy/stop/feed.ts'
import { largestFeed } from '../../proxy/stop/feed-document.ts'
import { Folder } from '../../proxy/stop/folder.ts'
import type { Order } from '../../proxy/stop/order.ts'
import type { FeedSettings, StopSettings } from '../../proxy/stop/settings.ts'
import { type Ended, type Outcome, Stops } from '../../proxy/stop/stops.ts'
import { stopRecord, takenBackBy } from './handoffs.ts'
import type { House } from './house.ts'

/** Milliseconds that a look at the feed may take, and a start waits for it. */
const patience = 5_000

export interface StopSurroundings {
  /** Beside it orders are written down, where `stop.file` says nothing else. */
  readonly adminSocket: string | undefined
  readonly resolve: Resolve
  readonly isOwn: IsOwn
  /** Epoch milliseconds. */
  readonly now: () => number
  /** Called in the tick in which something is stopped or no longer is, or the feed becomes stale; ends what may not go on. */
  readonly onChange: () => Ended
  /** @param by who ordered it, such as `uid 1000` */
  readonly onOrder: (stop: Stop, by: string) => void
  /** @param by who lifted it; `time` when it lapsed */
  readonly onLift: (stop: Stop, by: string) => void
  readonly onProblem: (problem: Error) => void
  /** Told of each look at the feed that failed. */
  readonly onFeedProblem: (problem: Error) => void
  /** Told when the feed becomes stale, and when it no longer is. */
  readonly onStale: (stale: boolean) => void
}

export interface OpenStops {
  /** Asked on each request. */
  readonly list: StopList
  /** There is a feed, and no recent one: what is to be stopped is not known, so nothing delegated may pass. */
  readonly stale: boolean
  readonly unwritten: number
  order(order: Order, uid: number): Promise<AdminOutcome>
  /** Takes a delegation back, for as long as it would have lasted (milliseconds). */
  takeBack(jti: string, reason: string, span: number, by: string): Promise<void>
  /** Undefined: there is no such stop; throws where it is to be lifted elsewhere. */
  lift(id: string, uid: number): Promise<AdminOutcome | undefined>
  /** For the admin socket. */
  describe(): AdminStops
  status(): NonNullable<AdminStatus['stops']>
  close(): Promise<void>
}

/** Where orders are written down; undefined: nowhere. */
export function stopFile({ file }: StopSettings, adminSocket: string | undefined): string | undefined {
  return file ?? (adminSocket === undefined ? undefined : join(dirname(adminSocket), 'stops.jsonl'))
}

/**
 * @param settings `feed.ca` holds PEM by now, not paths
 * @throws Error when it cannot be known what is to be stopped: a line of the file, or the folder, cannot be read
 */
export async function openStops(settings: StopSettings, surroundings: StopSurroundings): Promise<OpenStops> {
  const { adminSocket, now, onChange, onOrder, onLift, onProblem } = surroundings
  const file = stopFile(settings, adminSocket)
  const newId = () => `stop-${randomBytes(5).toString('hex')}`
  const closing: (() => Promise<void>)[] = []
  const close = async () => {
    for (const each of closing.splice(0).reverse()) await each()
  }
  try {
    const stops = await Stops.open({ file, now, newId, onChange, onOrder, onLift, onProblem })
    closing.push(() => stops.close())
    if (file !== undefined) {
      // Orders that were written into it without asking us.
      const followed = new Folder(dirname(file), () => stops.follow(), basename(file))
      closing.push(() => followed.close())
    }
    if (settings.drop !== undefined) {
      const changed = (ordered: readonly Stop[], gone: readonly string[]) =>
        void stops.replace(ordered, gone, 'the folder')
      const drop = await DropFolder.open({ path: settings.drop, onChange: changed, onProblem })
      closing.push(() => drop.close())
    }
    const feed = settings.feed && (await openFeed(settings.feed, file, stops, surroundings, closing))
    return {
      list: stops.list,
      get stale() {
        return feed?.stale === true
      },
      get unwritten() {
        return stops.unwritten
      },
      order: async (order, uid) => told(await stops.order(order, `uid ${uid}`)),
      async takeBack(jti, reason, span, by) {
        await stops.order({ what: { kind: 'delegation', jti }, reason, for: span }, by)
      },
      async lift(id, uid) {
        const outcome = await stops.lift(id, `uid ${uid}`)
        return outcome && told(outcome)
      },
      describe: () => ({
        stops: stops.list.list(now()).map(adminStopOf),
        unwritten: stops.unwritten,
        ...(file === undefined ? {} : { file }),
        ...feedStatus(feed),
      }),
      status: () => ({ active: stops.list.size, unwritten: stops.unwritten, ...feedStatus(feed) }),
      close,
    }
  } catch (error) {
    await close()
    throw error
  }
}

/**
 * The same for the house: told of by records, metrics and log.
 * @param end ends what may not go on
 */
export async function openStopsOf(house: House, journal: EventJournal, end: () => Ended): Promise<OpenStops> {
  const { config, resolve, isOwn, now, log, metrics, closes } = house
  const { stop: settings, admin } = config()
  const stops = await openStops(settings, {
    adminSocket: admin.socket,
    resolve,
    isOwn,
    now,
    onChange: end,
    onOrder(stop, by) {
      // An agent that gives a delegation back is no alarm.
      log[by === takenBackBy ? 'info' : 'warn']({ stop, by }, 'stopped')
      void journal.recordStop(stopRecord('stop.ordered', stop, by))
    },
    onLift(stop, by) {
      log.warn({ stop, by }, 'no longer stopped')
      void journal.recordStop(stopRecord('stop.lifted', stop, by))
    },
    onProblem: (problem) => log.error({ err: problem }, 'stops have a problem'),
    onFeedProblem(problem) {
      metrics.stopFeedFailures.add(1)
      log.error({ err: problem }, 'the feed of stops could not be used')
    },
    onStale(stale) {
      if (stale) log.error('the feed of stops is stale: delegated requests are refused')
      else log.info('the feed of stops is up to date')
    },
  })
  closes(() => stops.close())
  metrics.stopsActive.from(() => stops.list.size)
  metrics.stopsUnwritten.from(() => stops.unwritten)
  metrics.stopFeedStale.from(() => (settings.feed === undefined ? undefined : stops.stale ? 1 : 0))
  return stops
}

function told({ stop, cut, took, unwritten }: Outcome): AdminOutcome {
  const written = unwritten === undefined
  return {
    stop: adminStopOf(stop),
    cut,
    took_ms: Math.round(took * 1_000) / 1_000,
    written,
    ...(written ? {} : { problem: unwritten }),
  }
}

function feedStatus(feed: StopFeed | undefined): Pick<AdminStops, 'feed'> {
  if (feed === undefined) return {}
  return { feed: { stale: feed.stale, ...(feed.seq === undefined ? {} : { seq: feed.seq }) } }
}

async function openFeed(
  settings: FeedSettings,
  file: string | undefined,
  stops: Stops,
  { resolve, isOwn, now, onFeedProblem, onStale }: StopSurroundings,
  closing: (() => Promise<void>)[],
): Promise<StopFeed> {
  const { url, issuer, algorithms, every, maxAge, ca, addresses } = settings
  const dispatcher = guardedDispatcher({ ca, addresses, patience }, resolve, isOwn)
  let feed: StopFeed | undefined
  closing.push(async () => {
    const closed = feed?.close()
    // A look that is under way would be waited for.
    await dispatcher.destroy()
    await closed
  })
  const fetch = (address: string, largest?: number) =>
    fetchDocument(dispatcher, address, patience, largest === undefined ? {} : { largest })
  feed = await StopFeed.open({
    issuer,
    algorithms,
    key: keyOf(settings, fetch, now, onFeedProblem),
    read: () => fetch(url, largestFeed),
    file: file === undefined ? undefined : `${file}.feed`,
    every,
    maxAge,
    now,
    onStops: (ordered, gone) => void stops.replace(ordered, gone, `feed ${issuer}`),
    onStale: (stale) => {
      onStale(stale)
      stops.changed()
    },
    onProblem: onFeedProblem,
  })
  return feed
}

function keyOf(
  { jwks, key: file = '' }: FeedSettings,
  fetch: (address: string) => Promise<string>,
  now: () => number,
  onProblem: (problem: Error) => void,
): (header: CompactJWSHeaderParameters) => Promise<CryptoKey | KeyObject> {
  if (jwks === undefined) return async () => createPublicKey(await readSmallFile(file))
  const keys = new KeySet({ read: () => fetch(jwks), now, onProblem })
  return async ({ kid, alg }) => {
    if (kid === undefined) throw new Error('it names no key')
    const named = (await keys.keysFor(kid))?.find((each) => each.kid === kid)
    if (named === undefined) throw new Error('its key is not among those of the issuer')
    if (named.alg !== undefined && named.alg !== alg) throw new Error('its key is for another algorithm')
    const key = await importJWK(named, alg)
    if (key instanceof Uint8Array) throw new Error('its key is no public key')
    return key
  }
}
