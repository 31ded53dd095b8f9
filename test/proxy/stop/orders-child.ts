// A process of its own that is to be killed or to find its disk full: it orders and lifts, and tells what was acknowledged.
import { createInterface } from 'node:readline'
import { Stops } from '../../../proxy/stop/stops.ts'

const [path = '', mode = ''] = process.argv.slice(2)
let last = 0
const stops = await Stops.open({
  file: path,
  now: Date.now,
  newId: () => `stop-${process.pid}-${last++}`,
  onChange: () => ({ cut: 1 }),
  onOrder: () => {},
  onLift: () => {},
  onProblem: () => {},
})
const order = (reason: string) =>
  stops.order({ what: { kind: 'user', id: `user-${last}` }, reason, for: undefined }, 'uid 0')
const say = (value: unknown) => process.stdout.write(`${JSON.stringify(value)}\n`)

if (mode === 'forever') {
  for (;;) {
    const { stop } = await order('under load')
    say({ ordered: stop.id })
    if (last % 3 === 0 && (await stops.lift(stop.id, 'uid 0'))?.unwritten === undefined) say({ lifted: stop.id })
  }
}

say({ ready: true })
for await (const line of createInterface({ input: process.stdin })) {
  if (line === 'order') {
    const { stop, cut, unwritten } = await order('x'.repeat(490))
    say({ ordered: stop.id, cut, unwritten, inForce: stops.list.get(stop.id) !== undefined })
  }
  if (line === 'unwritten') say({ unwritten: stops.unwritten })
}
await stops.close()
