// Checks are run side by side, and none can keep the others, or the whole, waiting.
import { describe, expect, it } from 'vitest'
import { type Check, green } from '../../../cli/doctor/check.ts'
import { examine } from '../../../cli/doctor/examine.ts'
import { isWell } from '../../../cli/doctor/report.ts'
import type { Scene } from '../../../cli/doctor/scene.ts'

const never = (): never => {
  throw new Error('not asked')
}
const scene: Scene = {
  ...{ environment: {}, uid: 1_000, borrowed: false, side: 'agent', mode: 'transparent', proxy: undefined, rules: '' },
  ...{ proxyUid: undefined, url: undefined, config: undefined, records: '', request: undefined, files: undefined },
  ...{ metrics: { host: '127.0.0.1', port: 1 }, now: () => 0, door: never, call: never },
}
const check = (name: string, run: Check['run'], patience = 5_000): Check => ({ name, proves: '', patience, run })
const open = new AbortController().signal

describe('checks', () => {
  it('are told in their own order, whichever is done first', async () => {
    let release = () => {}
    const first = new Promise<void>((resolve) => {
      release = resolve
    })
    const found = await examine(
      [
        check('slow', async () => first.then(() => green('late'))),
        check('quick', () => {
          release()
          return green('soon')
        }),
      ],
      scene,
      open,
    )
    expect(found.map(({ name, saw }) => [name, saw])).toEqual([
      ['slow', 'late'],
      ['quick', 'soon'],
    ])
    expect(isWell(found)).toBe(true)
  })

  it('that give no result in their time are red, not green', async () => {
    const [found] = await examine([check('stuck', () => new Promise(() => {}), 20)], scene, open)
    expect(found).toMatchObject({
      state: 'red',
      saw: expect.stringContaining('no result within'),
      todo: expect.any(String),
    })
  })

  it('that fail by a mistake of ours are red', async () => {
    const found = await examine([check('broken', never), check('well', () => green('x'))], scene, open)
    expect(found).toMatchObject([{ state: 'red', saw: 'It could not be looked at: not asked.' }, { state: 'green' }])
    expect(isWell(found)).toBe(false)
  })

  it('end with the whole', async () => {
    const whole = AbortSignal.timeout(20)
    const stuck = Array.from({ length: 8 }, (_, at) => check(`runtime-${at}`, () => new Promise(() => {})))
    const found = await examine(stuck, scene, whole)
    expect(found.map(({ state }) => state)).toEqual(stuck.map(() => 'red'))
  })

  it('of runtimes are three at once', async () => {
    let now = 0
    let most = 0
    const one = async () => {
      now += 1
      most = Math.max(most, now)
      await new Promise(setImmediate)
      now -= 1
      return green('x')
    }
    await examine(
      Array.from({ length: 9 }, (_, at) => check(`runtime-${at}`, one)),
      scene,
      open,
    )
    expect(most).toBe(3)
  })
})
