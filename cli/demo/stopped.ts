// Chapter 11: two agents follow a stream, and one of them is stopped.
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { askStops } from '../../proxy/record/admin-client.ts'
import { adminSocket, configurationFile, researcherId } from './configuration.ts'
import type { Scene } from './scene.ts'
import type { SecondCast } from './second-cast.ts'

const reason = 'reads more than it should'

export async function oneIsStopped({ scene, team, records, narrator }: SecondCast): Promise<void> {
  narrator.step('11. Both follow a stream of changes. Then somebody stops the researcher.')
  await team.ask('planner', 'follow', 'hear')
  const plannersToken = lastToken(scene)
  await team.ask('researcher', 'follow', 'hear')
  const token = lastToken(scene)
  const first = await hearOf('c_1 was called back', ['planner', 'researcher'])
  narrator.check('what changes reaches both', first, team.told.slice(-2))

  narrator.command(`postern kill --agent ${researcherId} --reason '${reason}'`)
  const kill = ['kill', '--agent', researcherId, '--reason', reason, '-c', configurationFile]
  const said = await scene.postern.read(kill)
  const end = await team.hear('researcher', 'end')
  const took = end.at - (await orderedAt(scene))
  narrator.check(
    `one stream was cut; the researcher saw the end of it ${took} ms after the order`,
    /^1 exchange that was under way ended /m.test(said) && took <= 500,
    { said, took },
  )
  const goesOn = await hearOf('c_2 was called back', ['planner'])
  const nothingMore = team.take('researcher', 'hear') === undefined
  narrator.check('the stream of the planner goes on', goesOn && nothingMore && scene.crm.followers === 1)

  const seenBefore = scene.crm.seen.length
  const answer = await team.ask('researcher', 'contacts', 'fetch')
  const record = await records.find(({ refusal }) => refusal?.reason === 'chain_revoked')
  narrator.check(
    'whatever it calls now is refused: chain_revoked',
    // Where its tunnel was closed with the stream, it gets no new one, and its `fetch` tells of no status.
    (answer.status === 403 || answer.failed !== undefined) && scene.crm.seen.length === seenBefore,
    { answer, record },
  )
  const [taken, plannersTaken] = [await isTaken(scene, token), await scene.crm.accepts(plannersToken)]
  narrator.check(
    'its access token is revoked: the API takes it no more, and that of the planner still',
    !taken && plannersTaken,
    { taken, plannersTaken },
  )

  async function hearOf(change: string, members: readonly ('planner' | 'researcher')[]): Promise<boolean> {
    scene.crm.change(change)
    const heard = await Promise.all(members.map((who) => team.hear(who, 'hear')))
    return heard.every(({ event }) => event === change)
  }
}

/** When the one stop that there is was ordered, as the service says. Epoch milliseconds. */
async function orderedAt({ directory }: Scene): Promise<number> {
  const { stops } = await askStops(join(directory, adminSocket))
  return Date.parse(stops[0]?.at ?? '')
}

/** Whether the API still takes the token after 5 s; ends as soon as it does not. */
async function isTaken({ crm }: Scene, token: string): Promise<boolean> {
  for (const started = performance.now(); performance.now() - started < 5_000; await pause(10)) {
    if (!(await crm.accepts(token))) return false
  }
  return true
}

/** With which the API was called last. */
const lastToken = ({ crm }: Scene): string => crm.seen.at(-1)?.authorization.replace(/^Bearer /, '') ?? ''
