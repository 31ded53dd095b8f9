// postern kills: what is stopped.
import { Command } from 'commander'
import { describeStopped } from '../policy/stop/stop.ts'
import { askStops } from '../proxy/record/admin-client.ts'
import { type AdminStop, type AdminStops, adminStopOf } from '../proxy/record/admin-stops.ts'
import { endWith, usageExit } from './exit.ts'
import { askRunning } from './stop/ask.ts'
import { readStops } from './stop/offline.ts'
import { type PlaceOptions, stopPlace, withPlace } from './stop/place.ts'

const examples = `
Examples:
  postern kills
  postern kills --json | jq -r '.stops[].id'

While no proxy runs, it shows what the file says that will be stopped from the next start on.
Exit codes: 0, 69 the proxy could not be asked, 78 no socket is named.`

export function killsCommand(): Command {
  return withPlace(new Command('kills').description('List what is stopped, by whom, why and until when.'))
    .addHelpText('after', examples)
    .exitOverride(usageExit)
    .action((options: PlaceOptions) => endWith(() => kills(options)))
}

async function kills(options: PlaceOptions): Promise<void> {
  const { socket, file } = stopPlace(options, process.env)
  const running = await askRunning(() => askStops(socket))
  const answer: AdminStops = running ?? { stops: (await readStops(file)).map(adminStopOf), unwritten: 0, file }
  if (options.json === true) return console.log(JSON.stringify({ running: running !== undefined, ...answer }))
  if (running === undefined) console.error(`No proxy runs on ${socket}; ${file} says for its next start:`)
  for (const line of linesOf(answer)) console.log(line)
}

function linesOf({ stops, unwritten, feed }: AdminStops): string[] {
  const lines = stops.length === 0 ? ['Nothing is stopped.'] : stops.map(lineOf)
  if (unwritten > 0) lines.push(`${unwritten} of orders and lifts could not be written down yet.`)
  if (feed?.stale === true) lines.push('The feed of stops is stale, so delegated requests are refused.')
  return lines
}

function lineOf({ id, what, reason, at, since, until, by }: AdminStop): string {
  const begins = since === undefined ? '' : `, from ${since}`
  const ends = until === undefined ? 'until it is lifted' : `until ${until}`
  return `${id}  ${describeStopped(what)}${begins}, ${ends}\n    ordered ${at} by ${by}: ${reason}`
}
