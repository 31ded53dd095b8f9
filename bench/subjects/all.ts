// Who takes part, in the order of a round.
import { leanSubject } from './lean.ts'
import { mitmproxy, mitmproxyIsInstalled } from './mitmproxy.ts'
import { postern } from './postern.ts'
import type { Subject } from './subject.ts'

const direct: Subject = { name: 'direct', injects: false, prepare: async () => undefined }

export const subjects: readonly Subject[] = [
  direct,
  leanSubject('byte pump', './byte-pump.ts'),
  leanSubject('undici', './undici-forwarder.ts'),
  leanSubject('http-proxy', './http-proxy.ts'),
  ...(mitmproxyIsInstalled() ? [mitmproxy] : []),
  postern,
]
