// postern kill: stops an agent, a user, or anything else, now.
import { Command } from 'commander'
import { describeStopped } from '../policy/stop/stop.ts'
import { askToStop } from '../proxy/record/admin-client.ts'
import { type AdminOutcome, adminStopOf } from '../proxy/record/admin-stops.ts'
import { faultsOf, orderSchema } from '../proxy/stop/order.ts'
import { CommandError, endWith, exit, usageExit } from './exit.ts'
import { askRunning } from './stop/ask.ts'
import { writeOrder } from './stop/offline.ts'
import { type PlaceOptions, stopPlace, withPlace } from './stop/place.ts'
import { type Selected, selected, withSelectors } from './stop/selector.ts'

interface Options extends PlaceOptions, Selected {
  readonly reason: string
  readonly for?: string
}

const examples = `
Examples:
  postern kill --agent spiffe://acme.example/ns/agents/sa/researcher --reason 'leaks contacts'
  postern kill --agent 'spiffe://acme.example/ns/agents/*' --reason 'incident 7' --for 1h
  postern kill --user zoe@acme.example --reason 'account taken over'
  postern kill --credential crm-token --reason 'token seen in a log'
  postern kill --all --reason 'stop everything' --socket /run/postern/admin.sock

What is stopped is refused from now on, and what of it is under way is cut, streams and tunnels too.
The order is written down before it is acknowledged and holds after a restart. postern kills lists
orders, postern revive takes one back. While no proxy runs, the order is written for its next start.
Exit codes: 0 stopped and written down, 1 stopped but not written down: it ends when the proxy does,
64 wrong usage, 69 the proxy could not be asked and nothing was written, 75 no proxy runs and the
order is written for its next start, 78 no socket is named.`

export function killCommand(): Command {
  const command = new Command('kill').description('Stop an agent, a user, a credential or everything, now.')
  return withPlace(
    withSelectors(command)
      .requiredOption('--reason <text>', 'why; it stands in records, and in what postern kills lists')
      .option('--for <duration>', 'how long, such as 30m or 1h (default: until it is lifted)'),
  )
    .addHelpText('after', examples)
    .exitOverride(usageExit)
    .action((options: Options) => endWith(() => kill(options)))
}

async function kill(options: Options): Promise<void> {
  const { reason, for: span, json } = options
  const written = { what: selected(options), reason, ...(span === undefined ? {} : { for: span }) }
  const order = orderSchema.safeParse(written)
  if (!order.success) throw new CommandError(exit.usage, faultsOf(order.error))
  const place = stopPlace(options, process.env)

  const outcome = await askRunning(() => askToStop(place.socket, written))
  if (outcome === undefined) {
    const stop = await writeOrder(place.file, order.data)
    process.exitCode = exit.later
    if (json === true) return console.log(JSON.stringify({ running: false, stop: adminStopOf(stop), written: true }))
    console.error(`No proxy runs on ${place.socket}, so nothing was cut.`)
    console.log(`${describeStopped(stop.what)} is stopped from its next start on: the order is in ${place.file}.`)
    return console.log(howToUndo(stop.id, place.said))
  }
  if (!outcome.written) process.exitCode = 1
  if (json === true) return console.log(JSON.stringify({ running: true, ...outcome }))
  tell(outcome, place.said)
}

function tell({ stop, cut, took_ms, written, problem = '' }: AdminOutcome, said: string): void {
  const until = stop.until === undefined ? 'until it is lifted' : `until ${stop.until}`
  console.log(`${describeStopped(stop.what)} is stopped ${until}: ${stop.id}`)
  console.log(
    cut === 0
      ? 'Nothing of it was under way.'
      : `${cut} ${cut === 1 ? 'exchange that was' : 'exchanges that were'} under way ended ${took_ms} ms after the order.`,
  )
  console.log(howToUndo(stop.id, said))
  if (!written) {
    console.error(`It is NOT written down: ${problem}. It is tried again, and ends with the proxy until then.`)
  }
}

const howToUndo = (id: string, said: string) => `To undo: postern revive ${id}${said}`
