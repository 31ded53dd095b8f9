// Whether the proxy is there, knows who asks, and gets work.
import { askStatus } from '../../proxy/record/admin-client.ts'
import type { NotReady } from '../../proxy/record/readiness.ts'
import { type Answer, ask, Refused, type Way } from './answer.ts'
import { type Check, type Finding, green, red, skipped } from './check.ts'
import { health } from './health.ts'
import { type Door, notAnAgent, type Scene } from './scene.ts'

const start = 'See whether it runs (`postern status`, or the logs of the container `postern`), and start it.'

export const proxyChecks: readonly Check[] = [
  {
    name: 'proxy',
    proves: 'the proxy answers, by its reserved name, and knows who asks',
    patience: 8_000,
    run: async (scene) => {
      const other = notAnAgent(scene)
      if (other !== undefined) return skipped(other)
      try {
        const { caller, proofs, listener } = await scene.door()
        return green(`It takes us for ${caller}, by ${proofs.join(' and ')}, on listener ${listener}.`)
      } catch (error) {
        return red(`The proxy does not answer: ${messageOf(error)}.`, error instanceof NotKnown ? error.todo : start)
      }
    },
  },
  {
    name: 'proxy-ready',
    proves: 'the proxy gets work: its identity, policy and records are there',
    patience: 5_000,
    run: async (scene, signal) => {
      const told = await health(scene.metrics, '/readyz', signal)
      if (told === undefined) return bySocket(scene)
      return told.status === 200 ? green('It says that it is ready.') : notReady(reasonsIn(told.body))
    },
  },
]

async function bySocket({ metrics: { host, port }, config }: Scene): Promise<Finding> {
  const nobody = `nobody answers at ${host}:${port} (admin.metrics)`
  const socket = config?.admin.socket
  if (socket === undefined) return skipped(`${nobody}; --metrics names another place`)
  try {
    const { ready, reasons } = await askStatus(socket)
    return ready ? green('It says that it is ready.') : notReady(reasons)
  } catch (error) {
    return skipped(`${nobody}, and ${messageOf(error)}`)
  }
}

function notReady(reasons: readonly NotReady[]): Finding {
  const why = reasons.map(({ check, why }) => `${check}: ${why}`).join('; ')
  return red(`It is not ready: ${why || 'it does not say why'}.`, 'Mend what it names; `postern status` says the same.')
}

/** The door answers, and does not know who asks. */
class NotKnown extends Error {
  readonly todo: string

  constructor(message: string, todo: string) {
    super(message)
    this.todo = todo
  }
}

/**
 * Asks by the name alone: where connections are redirected, the address does not matter, and so no resolver does.
 * @param anywhere an address at which nobody is
 * @throws when nobody answers, or somebody else
 */
export async function askDoor(proxy: URL | undefined, anywhere: string, signal: AbortSignal): Promise<Door> {
  const way: Way = proxy === undefined ? { proxy, address: anywhere } : { proxy }
  let answer: Answer
  try {
    answer = await ask(new URL('https://postern.internal/v1/whoami'), way, signal)
  } catch (error) {
    if (error instanceof Refused && error.reason !== undefined) throw notKnown(error.reason)
    // The alert by which the proxy refuses before it decrypts (RFC 8446 §6.2).
    if (/access.denied/i.test(messageOf(error))) throw notKnown('access denied')
    throw error
  }
  const { status, headers, body, certificate } = answer
  const reason = headers['postern-reason']
  if (reason !== undefined) throw notKnown(reason)
  const told = parsed(body)
  if (status !== 200 || headers['postern-request-id'] === undefined || told === undefined)
    throw new Error('what answers by the name postern.internal is none of ours')
  return { ...told, certificate }
}

const notKnown = (reason: string) =>
  new NotKnown(
    `it refuses whoever asks (${reason})`,
    'Name the user of the agent under `uids` of the listener, or show the proof that it asks for.',
  )

function parsed(body: string): Omit<Door, 'certificate'> | undefined {
  try {
    const { caller, listener } = JSON.parse(body)
    if (typeof caller?.id !== 'string' || !Array.isArray(caller.proofs) || typeof listener !== 'string')
      return undefined
    return { caller: caller.id, proofs: caller.proofs.map(String), listener }
  } catch {
    return undefined
  }
}

function reasonsIn(body: string): NotReady[] {
  try {
    const { reasons } = JSON.parse(body)
    return Array.isArray(reasons) ? reasons : []
  } catch {
    return []
  }
}

/** OpenSSL's own text has addresses and line numbers in it; its reason says enough. */
export function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  if (error.name === 'AbortError' || error.name === 'TimeoutError') return 'no answer in time'
  const { reason, code } = error as { reason?: unknown; code?: unknown }
  if (typeof reason === 'string' && reason !== '') return reason
  return (error.message || String(code ?? error.name)).replace(/\.$/, '')
}
