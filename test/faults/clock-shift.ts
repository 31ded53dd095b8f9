// Loaded before the proxy: a clock that goes as it is told. Timers are not concerned, as they are not when a real clock is put right.

/** Milliseconds by the shifted clock = at + (real − since) × pace. */
export interface ClockOrder {
  /** Milliseconds that it is ahead of the real one. */
  readonly ahead: number
  /** How fast it goes from here on; 0: it stands still. */
  readonly pace: number
}

const RealDate = Date
let [at, since, pace] = [0, 0, 1]

const now = () => Math.round(at + (RealDate.now() - since) * pace)

globalThis.Date = new Proxy(RealDate, {
  construct: (target, given: unknown[], asked) =>
    Reflect.construct(target, given.length === 0 ? [now()] : given, asked),
  get: (target, name) => (name === 'now' ? now : Reflect.get(target, name)),
})

process.on('message', (order: ClockOrder) => {
  since = RealDate.now()
  at = since + order.ahead
  pace = order.pace
  process.send?.('done')
})
// The channel must not keep a proxy alive that has been told to stop.
process.channel?.unref()
