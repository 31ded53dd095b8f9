// Ports of the machine's loopback that a command in a room of its own may reach: by the consent of whoever starts it, plain bytes, past every rule.
import { connect, type Server, type Socket } from 'node:net'
import { pipeline } from 'node:stream'
import { InvalidArgumentError, Option } from 'commander'
import type { Config } from '../../../proxy/config/schema.ts'
import { CommandError, exit } from '../../exit.ts'
import { ports as ownPorts } from './wall.ts'

export const localhostOption = (): Option =>
  new Option(
    '--localhost <port>',
    "let a walled-in command reach this port of the machine's localhost (may be repeated)",
  )
    .argParser(portAnd)
    .default([], 'none')

function portAnd(text: string, before: readonly number[] = []): readonly number[] {
  const port = /^[1-9]\d{0,4}$/.test(text) ? Number(text) : Number.NaN
  if (!(port <= 65_535)) throw new InvalidArgumentError('It is a port, 1 to 65535.')
  return before.includes(port) ? before : [...before, port]
}

type Guarding = Pick<Config, 'listen' | 'dns' | 'admin' | 'destinations'>

/**
 * What a service with this configuration has open is no place for the command, where it would come as the proxy itself;
 * nor is what a destination guards.
 * @throws CommandError for a port that cannot be opened to the command
 */
export function checkLocalhost(ports: readonly number[], config: Guarding): void {
  for (const port of ports) {
    const why = whyNot(port, config)
    if (why !== undefined) throw new CommandError(exit.usage, `--localhost ${port}: ${why}.`)
  }
}

function whyNot(port: number, { listen, dns, admin, destinations }: Guarding): string | undefined {
  if (inside.has(port)) return 'behind its wall the command finds the proxy there'
  const addresses = [...listen.map(({ address }) => address), ...(dns?.listen ?? [])]
  const listens = addresses.some((address) => address.kind === 'tcp' && address.port === port)
  if (listens || admin.metrics?.port === port) return 'in the configuration, that is a port of the proxy itself'
  const guard = Object.values(destinations).find((each) => each.ports.includes(port) && each.hosts.some(isLoopback))
  return guard && `the destination ${guard.name} is there, and is reached through the proxy alone`
}

const inside: ReadonlySet<number> = new Set(Object.values(ownPorts))

const isLoopback = (host: string): boolean => /^(127\..*|::1|(.*\.)?localhost)$/.test(host)

/** Of the machine; a service may listen on either. */
const loopback = [
  { address: '127.0.0.1', family: 4 },
  { address: '::1', family: 6 },
]

/** Carries what comes to a server that listens in the room to the same port of the machine's loopback. */
export function forwardToMachine(server: Server, port: number): void {
  server.on('connection', (inside: Socket) => {
    const outside = connect({
      port,
      host: 'localhost',
      // What the name means elsewhere is no matter.
      lookup: (_host, _options, found) => found(null, loopback),
      autoSelectFamily: true,
      allowHalfOpen: true,
    })
    inside.allowHalfOpen = true
    // Where nobody listens, or the connection breaks, that is all the command is to see.
    const broken = () => inside.resetAndDestroy()
    outside.once('error', broken)
    pipeline(inside, outside, inside, () => {})
  })
}
