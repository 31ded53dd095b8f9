// The second part of the story: on whose behalf agents act, and how far. Each claim is checked as in the first.
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { decodeJwt } from 'jose'
import type { AuditRecord } from '../../proxy/record/line.ts'
import { application, plannerId, researcherId } from './configuration.ts'
import { actorsIn, type Seen } from './crm.ts'
import { theEvidence } from './evidence.ts'
import { canariesIn } from './leaks.ts'
import type { Narrator } from './narrator.ts'
import type { RecordReader } from './records.ts'
import type { Scene } from './scene.ts'
import type { SecondCast } from './second-cast.ts'
import { startService } from './service.ts'
import { oneIsStopped } from './stopped.ts'
import { plannersScopes, researchersScopes, Team } from './team.ts'

const tokenFile = 'ada.jwt'

export async function tellSecondAct(scene: Scene, records: RecordReader, narrator: Narrator): Promise<void> {
  narrator.step('8. Ada signs in. Postern runs as a service now, and a planner works on her behalf.')
  const [service, idToken] = await Promise.all([startService(scene), scene.login.signIn()])
  await writeFile(join(scene.directory, tokenFile), idToken, { mode: 0o600 })
  const { sub, email, aud } = decodeJwt(idToken)
  narrator.check(
    `she is let in: the application got a code, and for it an ID token of ${email}`,
    sub === scene.login.ada.name && email === scene.login.ada.email && aud === application,
    { sub, email, aud },
  )
  narrator.command(`postern delegate ${scopeOptions(plannersScopes)} --subject-token-file ${tokenFile} -- planner`)
  const team = new Team(scene.postern, service.environment, tokenFile, (line) => narrator.tell(line))
  const cast = { scene, team, records, narrator }
  await onHerBehalf(cast)
  await aHalfIsHandedOn(cast)
  await moreIsRefused(cast)
  await oneIsStopped(cast)
  const codes = [await team.finish(), await service.stop()]
  await theEvidence(cast, idToken, codes)
}

async function onHerBehalf({ scene, team, records, narrator }: SecondCast): Promise<void> {
  const answer = await team.ask('planner', 'contacts', 'fetch')
  const root = await records.find(({ delegation }) => delegation?.event === 'delegation.created')
  narrator.check(
    `Postern verified the token, and gave the planner ${root.delegation?.granted?.scopes.join(', ')}`,
    root.delegation?.to.spiffe_id === plannerId && root.principal?.id === scene.login.ada.email,
    root,
  )
  const seen = scene.crm.seen.at(-1)
  narrator.check(
    `the API saw a token: ${summary(seen)}`,
    answer.status === 200 && isAdas(seen, 'contacts.read contacts.write', [plannerId]),
    { answer, seen },
  )
}

async function aHalfIsHandedOn({ scene, team, records, narrator }: SecondCast): Promise<void> {
  narrator.step('9. The planner hands half of that to a researcher: a process that it starts, and nothing more.')
  narrator.command(`postern delegate ${scopeOptions(researchersScopes)} --to ${researcherId} -- researcher`)
  const planners = (await team.ask('planner', 'look-around', 'look-around')).variables
  team.tell('planner', 'start')
  const { variables } = await team.ask('researcher', 'look-around', 'look-around')
  const [own, parents] = [handleIn(variables), handleIn(planners)]
  narrator.check(
    `its proxy URL has a handle of its own (${own.slice(0, 8)}…), and nothing of the planner’s is with it`,
    own !== '' && parents !== '' && canariesIn(JSON.stringify(variables), { parents }).length === 0,
    { own, parents },
  )
  const answer = await team.ask('researcher', 'contacts', 'fetch')
  narrator.check('its plain fetch gets the contacts', answer.status === 200 && answer.body.includes('Ada'), answer)
  const seen = scene.crm.seen.at(-1)
  narrator.check(
    `with a narrower token: ${summary(seen)}`,
    isAdas(seen, 'contacts.read', [researcherId, plannerId]),
    seen,
  )
  const record = await records.find(byResearcher('GET', '/v1/contacts'))
  narrator.check(
    'the record has the whole chain, with the scopes at each hop',
    record.chain?.map(({ id, scopes }) => `${id} ${scopes.join(' ')}`).join() ===
      `${plannerId} ${plannersScopes.join(' ')},${researcherId} ${researchersScopes.join(' ')}`,
    record.chain,
  )
}

async function moreIsRefused({ scene, team, records, narrator }: SecondCast): Promise<void> {
  narrator.step('10. It tries more than it was handed: POST a contact.')
  const seenBefore = scene.crm.seen.length
  const answer = await team.ask('researcher', 'add', 'fetch')
  const record = await records.find(byResearcher('POST', '/v1/contacts'))
  const detail = record.refusal?.detail ?? ''
  const hop = /hop 2 \(\S+\) lacks crm\.contacts\.write/.exec(detail)?.[0]
  narrator.check(
    `refused, and the record names the hop: ${hop?.replace(researcherId, 'the researcher')}`,
    answer.status === 403 && hop?.includes(researcherId) === true,
    { answer, detail },
  )
  narrator.check('nothing of it reached the API', scene.crm.seen.length === seenBefore)
  const own = await team.ask('planner', 'add', 'fetch')
  narrator.check('the planner itself may: 201', own.status === 201, own)
}

const byResearcher = (method: string, path: string) => (record: AuditRecord) =>
  record.caller?.spiffe_id === researcherId && record.request?.method === method && record.request.path === path

/** With that scope, used by these: the last of them first. */
function isAdas(seen: Seen | undefined, scope: string, actors: readonly string[]): boolean {
  const claims = seen?.claims
  return claims?.sub === 'ada' && claims.scope === scope && actorsIn(claims).join() === actors.join()
}

function summary(seen: Seen | undefined): string {
  const { sub, scope, ...rest } = seen?.claims ?? {}
  const names = actorsIn(rest).map((actor) => actor.slice(actor.lastIndexOf('/') + 1))
  return `sub ${sub}, scope ${scope}, act ${names.join(' ← ')}`
}

/** What stands for a delegation in the proxy URL. */
function handleIn({ HTTPS_PROXY = '' }: Readonly<Record<string, string>>): string {
  const url = URL.parse(HTTPS_PROXY)
  return url?.username === 'delegation' ? url.password : ''
}

const scopeOptions = (scopes: readonly string[]): string => scopes.map((scope) => `--scope ${scope}`).join(' ')
