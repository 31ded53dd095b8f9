// A listener by itself, on a port that the system chooses; what a test is about, it says.
import type { Doors, ListenerOptions } from '../../proxy/capture/listener.ts'
import type { Leaves } from '../../proxy/capture/terminate.ts'
import { Turns } from '../../proxy/turns.ts'

export const listenerOptions = (
  doors: Doors,
  leaves: Leaves,
  changes: Partial<ListenerOptions> = {},
): ListenerOptions => ({
  name: 'test',
  address: { kind: 'tcp', host: '127.0.0.1', port: 0 },
  accept: 'http-proxy',
  tls: undefined,
  doors,
  leaves,
  now: Date.now,
  peerCredentials: () => undefined,
  turns: new Turns(),
  ...changes,
})
