// When an order takes effect, when it is acknowledged, when it ends, and who is told.
import { appendFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import type { Stop } from '../../../policy/stop/stop.ts'
import type { Order } from '../../../proxy/stop/order.ts'
import { readLines, toLine } from '../../../proxy/stop/stop-lines.ts'
import { Stops } from '../../../proxy/stop/stops.ts'

let folder: string
let stops: Stops | undefined
let events: string[]

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'postern-stops-'))
  events = []
})
afterEach(async () => {
  await stops?.close()
  stops = undefined
  rmSync(folder, { recursive: true, force: true })
})

const file = () => join(folder, 'stops.jsonl')
const everything: Order = { what: { kind: 'all' }, reason: 'a leak', for: undefined }

async function open(path: string | undefined = file()): Promise<Stops> {
  let id = 0
  stops = await Stops.open({
    file: path,
    now: Date.now,
    newId: () => `s${id++}-${Date.now()}`,
    onChange() {
      events.push('change')
      return { cut: 7 }
    },
    onOrder: ({ what }, by) => events.push(`ordered ${what.kind} by ${by}`),
    onLift: ({ what }, by) => events.push(`lifted ${what.kind} by ${by}`),
    onProblem: ({ message }) => events.push(message),
  })
  return stops
}

describe('an order', () => {
  it('is in effect, and what is under way is cut, before the disk was asked; it is written when it is acknowledged', async () => {
    const kept = await open()
    const answer = kept.order(everything, 'uid 0')
    expect(kept.list.all?.reason).toBe('a leak')
    expect(events).toEqual(['change', 'ordered all by uid 0'])
    const { stop, cut, took, unwritten } = await answer
    expect({ cut, unwritten }).toEqual({ cut: 7, unwritten: undefined })
    expect(took).toBeLessThan(50)
    expect((await readLines(file(), Date.now())).live).toEqual([stop])
  })

  it('without a disk is in effect, and is said not to be written', async () => {
    writeFileSync(join(folder, 'state'), 'a file where a folder should be')
    const kept = await open(join(folder, 'state', 'stops.jsonl')).catch((error: Error) => error)
    // What was ordered before cannot be there either.
    expect(kept).toBeInstanceOf(Error)
    rmSync(join(folder, 'state'))
    const running = await open(join(folder, 'state', 'stops.jsonl'))
    rmSync(join(folder, 'state'), { recursive: true })
    writeFileSync(join(folder, 'state'), '')
    const { unwritten } = await running.order(everything, 'uid 0')
    expect(unwritten).toContain('cannot be written')
    expect([running.list.all?.reason, running.unwritten]).toEqual(['a leak', 1])
  })

  it('where no file is configured ends with the process, and says so', async () => {
    const kept = await Stops.open({
      file: undefined,
      now: Date.now,
      newId: () => 's1',
      onChange: () => ({ cut: 0 }),
      onOrder: () => {},
      onLift: () => {},
      onProblem: () => {},
    })
    expect((await kept.order(everything, 'uid 0')).unwritten).toContain('no file is configured')
    await kept.close()
  })

  it('holds after a restart, and does not after it was lifted', async () => {
    const { stop } = await (await open()).order(everything, 'uid 0')
    await stops?.close()
    expect((await open()).list.all?.id).toBe(stop.id)
    events = []
    expect(await stops?.lift(stop.id, 'uid 5')).toMatchObject({ cut: 7, unwritten: undefined })
    expect(events).toEqual(['change', 'lifted all by uid 5'])
    await stops?.close()
    expect((await open()).list.isEmpty).toBe(true)
  })

  it('for a time lapses by itself, and that is told', async () => {
    const kept = await open()
    const { epoch } = kept.list
    await kept.order({ ...everything, for: 50 }, 'uid 0')
    await vi.waitFor(() => expect(events).toContain('lifted all by time'))
    expect(kept.list.isEmpty).toBe(true)
    expect(kept.list.epoch).toBe(epoch + 2)
    expect(events.filter((each) => each === 'change').length).toBe(2)
  })

  it('that was far away when it began is not forgotten by the timer', async () => {
    const kept = await open()
    await kept.order({ ...everything, for: 100 * 86_400_000 }, 'uid 0')
    expect(kept.list.isEmpty).toBe(false)
  })
})

describe('a lift', () => {
  it('of what is not stopped changes nothing', async () => {
    expect(await (await open()).lift('nobody', 'uid 0')).toBeUndefined()
    expect(events).toEqual([])
  })

  it('of what a file or the feed orders is refused, since it would come again', async () => {
    const kept = await open()
    const stop: Stop = { id: 'drop:a.json', what: { kind: 'all' }, reason: 'x', at: 0, by: 'file a.json' }
    kept.replace([stop], [], 'the folder')
    await expect(kept.lift('drop:a.json', 'uid 0')).rejects.toThrow('comes from file a.json: it is lifted there')
    expect(kept.list.all?.id).toBe('drop:a.json')
  })
})

describe('several changes at once', () => {
  it('are one', async () => {
    const kept = await open()
    const stop = (id: string, user: string): Stop => ({
      id,
      what: { kind: 'user', id: user },
      reason: 'x',
      at: 0,
      by: 'feed f',
    })
    kept.replace([stop('feed:1', 'a'), stop('feed:2', 'b')], [], 'feed f')
    kept.replace([stop('feed:1', 'c')], ['feed:2'], 'feed f')
    expect(events).toEqual([
      'change',
      'ordered user by feed f',
      'ordered user by feed f',
      'change',
      'lifted user by feed f',
      'ordered user by feed f',
    ])
    expect(kept.list.list(0).map(({ what }) => what)).toEqual([{ kind: 'user', id: 'c' }])
  })
})

describe('what another process writes into the file', () => {
  it('takes effect, and what it lifts ends', async () => {
    const kept = await open()
    const { stop } = await kept.order(everything, 'uid 0')
    const other: Stop = { ...stop, id: 'other', what: { kind: 'user', id: 'zoe' }, by: 'uid 9' }
    appendFileSync(file(), `${toLine({ order: other })}${toLine({ lift: { id: stop.id, at: stop.at, by: 'uid 9' } })}`)
    events = []
    await kept.follow()
    expect(events).toEqual(['change', 'lifted all by the file', 'ordered user by uid 9'])
    await kept.follow()
    expect(kept.list.list(Date.now())).toEqual([other])
  })
})
