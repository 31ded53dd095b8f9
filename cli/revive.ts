// postern revive: takes orders to stop back.
import { isDeepStrictEqual } from 'node:util'
import { Command } from 'commander'
import { describeStopped, type Stopped } from '../policy/stop/stop.ts'
import { askStops, askToLift } from '../proxy/record/admin-client.ts'
import { CommandError, endWith, exit, usageExit } from './exit.ts'
import { askRunning } from './stop/ask.ts'
import { readStops, writeLift } from './stop/offline.ts'
import { type PlaceOptions, type StopPlace, stopPlace, withPlace } from './stop/place.ts'
import { type Selected, selected, withSelectors } from './stop/selector.ts'

const examples = `
Examples:
  postern revive stop-4f1c09ab2e
  postern revive --agent 'spiffe://acme.example/ns/agents/*'
  postern revive --all          lifts what postern kill --all ordered, and no other stop

What a file of the folder or the feed stops is lifted there.
Exit codes: 0 lifted, 1 lifted but not written down: it is stopped again when the proxy restarts,
64 wrong usage, 65 there is no such stop, 69 the proxy could not be asked, or does not lift it,
75 no proxy runs and it is lifted for its next start, 78 no socket is named.`

interface Listed {
  readonly id: string
  readonly what: Stopped
}

export function reviveCommand(): Command {
  const command = new Command('revive').description('Take orders to stop back.')
  return withPlace(withSelectors(command.argument('[id...]', 'ids, as postern kill and postern kills tell them')))
    .addHelpText('after', examples)
    .exitOverride(usageExit)
    .action((ids: string[], options: Selected & PlaceOptions) => endWith(() => revive(ids, options)))
}

async function revive(ids: readonly string[], options: Selected & PlaceOptions): Promise<void> {
  const what = ids.length > 0 ? undefined : selected(options)
  const place = stopPlace(options, process.env)
  const answer = await askRunning(() => askStops(place.socket))
  const stops = chosen(answer?.stops ?? (await readStops(place.file)), ids, what)
  for (const stop of stops) await (answer === undefined ? liftInFile(stop, place, options) : lift(stop, place, options))
}

function chosen(stops: readonly Listed[], ids: readonly string[], what: Stopped | undefined): readonly Listed[] {
  const missing = ids.find((id) => !stops.some((stop) => stop.id === id))
  if (missing !== undefined) throw new CommandError(exit.data, `There is no stop ${missing}; postern kills lists them.`)
  const found = stops.filter((stop) =>
    what === undefined ? ids.includes(stop.id) : isDeepStrictEqual(stop.what, what),
  )
  if (found.length > 0 || what === undefined) return found
  throw new CommandError(exit.data, `No order stops ${describeStopped(what)}; postern kills lists them.`)
}

async function lift({ id, what }: Listed, { socket }: StopPlace, { json }: PlaceOptions): Promise<void> {
  const outcome = await askRunning(() => askToLift(socket, id))
  if (outcome === undefined) throw new CommandError(exit.unavailable, `the proxy on ${socket} has gone`)
  if (!outcome.written) process.exitCode = 1
  if (json === true) return console.log(JSON.stringify({ running: true, ...outcome }))
  console.log(`${id} is lifted: it stopped ${describeStopped(what)}`)
  if (!outcome.written) console.error(`That is NOT written down: ${outcome.problem ?? ''}. It is tried again.`)
}

async function liftInFile({ id, what }: Listed, { socket, file }: StopPlace, { json }: PlaceOptions): Promise<void> {
  await writeLift(file, id)
  process.exitCode = exit.later
  if (json === true) return console.log(JSON.stringify({ running: false, stop: { id, what }, written: true }))
  console.log(`${id} is lifted in ${file}: it stopped ${describeStopped(what)}`)
  console.error(`No proxy runs on ${socket}.`)
}
