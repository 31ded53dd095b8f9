// What providers are handed of the world outside: clock, environment, identity, and the way to a token server.
import type { Dispatcher } from 'undici'
import type { SvidSource } from '../../certs/source.ts'

/** How token servers may be connected to. Two equal ones may share connections. */
interface TokenConnection {
  /** PEM of extra certification authorities, besides the system's. */
  readonly ca: readonly string[]
  /** CIDR ranges of special-purpose addresses that are meant; public ones need no mention. */
  readonly addresses: readonly string[]
  /** What to present when the server asks for a client certificate; PEM, leaf first. */
  readonly certificate: ClientCertificate | undefined
}

export interface ClientCertificate {
  readonly chain: string
  readonly key: string
}

export interface Surroundings {
  /** Epoch milliseconds. */
  readonly clock: () => number
  readonly environment: Readonly<Record<string, string | undefined>>
  /** The proxy's own identity; absent where none is configured. */
  readonly svids: SvidSource | undefined
  /** Makes a dispatcher that resolves, checks every address, and connects to what it checked. Whoever asks for it closes it. */
  readonly dispatcher: (connection: TokenConnection) => Dispatcher
}
