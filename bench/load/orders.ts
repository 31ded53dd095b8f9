// What the load can be told to do, and what it answers.

/** The way to the upstream. */
export interface Route {
  readonly host: string
  readonly upstreamPort: number
  /** undefined: straight to the upstream. */
  readonly proxyPort: number | undefined
  /** Header lines for each request, each with its line end. */
  readonly fields: string
}

/** Seconds of CPU per second, for each process that was asked about by its id. */
export type Shares = Readonly<Record<string, number | undefined>>

export interface Orders {
  /** One request; tells whether the upstream saw the credential. */
  check: { ask: { route: Route }; answer: { credential: boolean } }
  /** Closed loop: each connection sends its next request when the last is answered. */
  throughput: {
    ask: {
      route: Route
      path: string
      connections: number
      warmup: number
      seconds: number
      processes: Record<string, number>
    }
    answer: { perSecond: number; shares: Shares }
  }
  /** Open loop: requests fall due at a steady rate, and time counts from then, whether or not they could be sent. */
  latency: {
    ask: { route: Route; path: string; connections: number; warmup: number; seconds: number; rate: number }
    answer: { p50: number; p99: number; perSecond: number }
  }
  /** Streams of events: milliseconds from the upstream's writing to our reading. */
  streams: {
    ask: { route: Route; streams: number; warmup: number; seconds: number }
    answer: { p50: number; p99: number; events: number }
  }
  /** One body down or up. */
  body: { ask: { route: Route; direction: 'down' | 'up'; bytes: number }; answer: { seconds: number } }
  /** Opens connections, with one request on each, and keeps them until `release`. */
  hold: { ask: { route: Route; connections: number }; answer: { open: number } }
  release: { ask: Record<never, never>; answer: Record<never, never> }
}

export type OrderName = keyof Orders
export type Ask<Name extends OrderName> = Orders[Name]['ask']
export type Answer<Name extends OrderName> = Orders[Name]['answer']
