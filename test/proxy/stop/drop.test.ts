// Files as orders: half written, wrong, replaced, taken away; and a folder that comes and goes.
import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import type { Stop } from '../../../policy/stop/stop.ts'
import { DropFolder, largestOrder } from '../../../proxy/stop/drop.ts'

let folder: string
let drop: DropFolder | undefined
let stops: Map<string, Stop>
let problems: string[]

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'postern-drop-'))
  stops = new Map()
  problems = []
})
afterEach(async () => {
  await drop?.close()
  drop = undefined
  rmSync(folder, { recursive: true, force: true })
})

const json = (user: string) => JSON.stringify({ what: { kind: 'user', id: user }, reason: 'a leak' })
const put = (name: string, text: string) => writeFileSync(join(folder, name), text)
const ids = () => [...stops.keys()].sort()
const until = (check: () => void) => vi.waitFor(check, { timeout: 5_000, interval: 5 })

async function open(): Promise<void> {
  drop = await DropFolder.open({
    path: folder,
    onChange(ordered, gone) {
      for (const id of gone) stops.delete(id)
      for (const stop of ordered) stops.set(stop.id, stop)
    },
    onProblem: ({ message }) => problems.push(message),
  })
}

describe('a file is no order', () => {
  it.each([
    ['that is half there', 'a.json', json('zoe').slice(0, 30), 'a.json is no order, so it stops nothing'],
    ['without a reason', 'a.yaml', 'what: { kind: all }\n', 'reason: Invalid input'],
    ['of what there is not', 'a.yaml', 'what: { kind: planet, id: x }\nreason: x\n', 'what.kind: Invalid'],
    ['that lasts no time', 'a.yaml', 'what: { kind: all }\nreason: x\nfor: 0s\n', 'for: more than nothing'],
    ['that is empty', 'a.yaml', '', 'the order: Invalid input'],
    ['that is too large', 'a.json', ' '.repeat(largestOrder + 1), 'it is larger than'],
  ])('%s, and that is told once', async (_case, name, text, problem) => {
    put(name, text)
    await open()
    expect([ids(), problems]).toEqual([[], [expect.stringContaining(problem)]])
    put('z.json', json('other'))
    await until(() => expect(ids()).toEqual(['drop:z.json']))
    expect(problems.length).toBe(1)
  })

  it('that has another kind of name, or is hidden, or is a folder', async () => {
    put('README.md', json('zoe'))
    put('.a.json', json('zoe'))
    put('a.json~', json('zoe'))
    mkdirSync(join(folder, 'b.json'))
    await open()
    expect(ids()).toEqual([])
    expect(problems).toEqual([expect.stringContaining('it is not a regular file')])
  })
})

describe('a file is an order', () => {
  it('from the moment that it is there until it is gone', async () => {
    await open()
    put('kill.yaml', '# stop them\nwhat: { kind: agent, id: "spiffe://acme.example/*" }\nreason: a leak\n')
    await until(() => expect(ids()).toEqual(['drop:kill.yaml']))
    expect(stops.get('drop:kill.yaml')).toMatchObject({
      what: { kind: 'agent', id: 'spiffe://acme.example/*' },
      reason: 'a leak',
      by: 'file kill.yaml',
    })
    rmSync(join(folder, 'kill.yaml'))
    await until(() => expect(ids()).toEqual([]))
    expect(problems).toEqual([])
  })

  it('once it is whole', async () => {
    await open()
    put('a.json', json('zoe').slice(0, 20))
    await until(() => expect(problems.length).toBe(1))
    put('a.json', json('zoe'))
    await until(() => expect(ids()).toEqual(['drop:a.json']))
  })

  it('until another one is in its place; what cannot be read in between lifts nothing', async () => {
    put('a.json', json('zoe'))
    await open()
    put('a.json', '{"what":')
    await until(() => expect(problems).toEqual([expect.stringContaining('so what it ordered before stays')]))
    expect(stops.get('drop:a.json')?.what).toEqual({ kind: 'user', id: 'zoe' })
    put('a.json', json('ann'))
    await until(() => expect(stops.get('drop:a.json')?.what).toEqual({ kind: 'user', id: 'ann' }))
  })

  it('whose time counts from when it was written', async () => {
    put('a.yaml', 'what: { kind: all }\nreason: x\nfor: 1h\n')
    utimesSync(join(folder, 'a.yaml'), 1_800_000_000, 1_800_000_000)
    await open()
    expect(stops.get('drop:a.yaml')).toMatchObject({ at: 1_800_000_000_000, until: 1_800_003_600_000 })
  })

  it('as Kubernetes mounts it: a link into a folder that is swapped', async () => {
    const version = (name: string, user: string) => {
      mkdirSync(join(folder, name))
      writeFileSync(join(folder, name, 'kill.json'), json(user))
    }
    const point = (name: string) => {
      symlinkSync(name, join(folder, '..tmp'))
      renameSync(join(folder, '..tmp'), join(folder, '..data'))
    }
    version('..1', 'zoe')
    point('..1')
    symlinkSync('..data/kill.json', join(folder, 'kill.json'))
    await open()
    expect(stops.get('drop:kill.json')?.what).toEqual({ kind: 'user', id: 'zoe' })
    version('..2', 'ann')
    point('..2')
    await until(() => expect(stops.get('drop:kill.json')?.what).toEqual({ kind: 'user', id: 'ann' }))
  })
})

describe('a folder', () => {
  it('that is not there at the start is refused: what is to be stopped is not known', async () => {
    rmSync(folder, { recursive: true })
    await expect(open()).rejects.toThrow('ENOENT')
  })

  it('that goes takes no order back, and is looked at again when it returns', async () => {
    put('a.json', json('zoe'))
    await open()
    renameSync(folder, `${folder}-away`)
    await until(() => expect(problems).toEqual([expect.stringContaining(`${folder} cannot be read: ENOENT`)]))
    expect(ids()).toEqual(['drop:a.json'])
    rmSync(join(`${folder}-away`, 'a.json'))
    writeFileSync(join(`${folder}-away`, 'b.json'), json('ann'))
    renameSync(`${folder}-away`, folder)
    await until(() => expect(ids()).toEqual(['drop:b.json']))
  })
})
