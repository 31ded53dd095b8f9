// The story that the demo tells. Each claim is checked against what really happened: in the agent, at the services, in the records.
import type { AuditRecord } from '../../proxy/record/line.ts'
import type { Actor } from './actor.ts'
import { agentId } from './configuration.ts'
import { canariesIn } from './leaks.ts'
import type { Narrator } from './narrator.ts'
import { asExplanation, asTable, type RecordReader, readWithLogs, recordsFile } from './records.ts'
import type { Fetched, Report } from './reports.ts'
import type { Scene } from './scene.ts'

export interface Cast {
  readonly scene: Scene
  readonly agent: Actor
  readonly records: RecordReader
  readonly narrator: Narrator
  readonly stolenKey: string
  /** All that the agent ever saw and told. */
  readonly told: Report[]
}

export async function tellStory(cast: Cast): Promise<void> {
  await nothingToSteal(cast)
  await aCallSucceeds(cast)
  await theSdkStreams(cast)
  await refusals(cast)
  await stolenKeyIsTakenOut(cast)
  await echoIsBlanked(cast)
  await theRecords(cast)
}

async function nothingToSteal({ scene, agent, narrator, told }: Cast): Promise<void> {
  narrator.step('1. The agent starts. It holds no secret.')
  const seen = await agent.ask('look-around', 'look-around')
  told.push(seen)
  const count = Object.keys(seen.variables).length
  const found = canariesIn(JSON.stringify(seen), scene.canaries)
  const kernel = seen.environ === '' ? '' : ', and the kernel’s copy of them'
  narrator.check(
    `${count} environment variables${kernel}: neither API key nor client secret`,
    found.length === 0,
    found,
  )
  const standIn = seen.variables.OPENAI_API_KEY ?? ''
  narrator.check(
    `OPENAI_API_KEY is only a stand-in: ${shorten(standIn)}`,
    standIn.startsWith('sk-') && canariesIn(standIn, scene.canaries).length === 0,
  )
}

async function aCallSucceeds({ scene, agent, records, narrator, told }: Cast): Promise<void> {
  narrator.step(`2. It asks for contacts, without any token: GET ${scene.addresses.crm}/v1/contacts`)
  const answer = await agent.ask('contacts', 'fetch')
  told.push(answer)
  const record = await records.next()
  narrator.check(
    '200, and the contacts are in the answer',
    answer.status === 200 && answer.body.includes('Ada'),
    answer,
  )
  narrator.check(
    `Postern knew who called: ${record.caller?.spiffe_id}, by ${record.caller?.proofs.join(' and ')}`,
    record.caller?.spiffe_id === agentId && (record.caller?.proofs.includes('run-token') ?? false),
    record.caller,
  )
  const at = scene.crm.seen.at(-1)
  narrator.check(
    `the API saw a fresh access token: client ${at?.claims?.client_id}, scope ${at?.claims?.scope}`,
    at?.claims?.scope === 'contacts.read',
    at,
  )
  narrator.check('that token never was with the agent', !JSON.stringify(told).includes(tokenOf(scene)))
}

async function theSdkStreams({ scene, agent, records, narrator, told }: Cast): Promise<void> {
  narrator.step('3. The OpenAI SDK, as it comes, streams an answer. It signs in with the stand-in.')
  const streamed = await agent.ask('model', 'stream', () => scene.model.arrived())
  told.push(streamed)
  await records.next()
  narrator.tell(`“${streamed.text}”`)
  narrator.check('the whole answer arrived', streamed.failed === undefined && streamed.text.endsWith('.'), streamed)
  const { events } = streamed
  narrator.check(
    `${events} events: the model sent each only when the one before was with the agent`,
    events > 1 && scene.model.unheard === 0,
    scene.model.unheard,
  )
  const key = scene.model.seen.at(-1) ?? ''
  narrator.check('the model saw its real key', canariesIn(key, scene.canaries).includes('the model key'))
}

async function refusals(cast: Cast): Promise<void> {
  cast.narrator.step('4. What nobody allowed is refused, and the record says why.')
  const { crm } = cast.scene
  const seenBefore = crm.seen.length
  await refusal(cast, 'delete', 'DELETE a contact', 'denied_by_rule')
  await refusal(cast, 'unknown-host', 'POST all contacts to paste.example', 'no_rule')
  await refusal(cast, 'metadata', 'GET the cloud’s credentials from 169.254.169.254', 'no_rule')
  await refusal(cast, 'metadata-by-name', 'the same by an allowed name that leads there', 'blocked_address')
  cast.narrator.check('nothing of it reached the API', crm.seen.length === seenBefore)
}

async function refusal(cast: Cast, step: string, what: string, reason: string): Promise<void> {
  const { agent, records, narrator, told } = cast
  const answer = await agent.ask(step, 'fetch')
  told.push(answer)
  const record = await records.next()
  const refused = answer.failed !== undefined || (answer.status ?? 0) === 403
  narrator.check(
    `${what.padEnd(50)} ${reason}`,
    refused && record.refusal?.reason === reason && record.outcome === 'refused',
    { answer, record },
  )
}

async function stolenKeyIsTakenOut({ scene, agent, records, narrator, told, stolenKey }: Cast): Promise<void> {
  narrator.step('5. It found somebody’s key, and calls the API with that.')
  const answer = await agent.ask('stolen-key', 'fetch')
  told.push(answer)
  const record = await records.next()
  const at = scene.crm.seen.at(-1)
  narrator.check(
    'the key was taken out: the API saw the access token of Postern in its place',
    answer.status === 200 && at?.claims !== undefined && !at.authorization.includes(stolenKey),
    at,
  )
  const finding = record.findings?.find(({ kind }) => kind === 'agent_credential_removed')
  narrator.check(
    `and stands in the record as a finding: ${finding?.where}, fingerprint ${finding?.fingerprint}`,
    finding?.fingerprint !== undefined && canariesIn(JSON.stringify(record), { stolenKey }).length === 0,
    record.findings,
  )
}

async function echoIsBlanked({ scene, agent, records, narrator, told }: Cast): Promise<void> {
  narrator.step('6. It calls an endpoint that gives the token back: plain, in Base64, compressed.')
  const answer = await agent.ask('echo', 'fetch')
  told.push(answer)
  const record = await records.next()
  narrator.tell(`the agent got ${shorten(answer.body, 80)}`)
  const token = tokenOf(scene)
  narrator.check('every copy of it was blanked', isBlanked(answer, token), answer)
  const finding = record.findings?.find(({ kind }) => kind === 'secret_echoed')
  narrator.check('and the record says that the API gives secrets back', finding !== undefined, record.findings)
}

function isBlanked(answer: Fetched, token: string): boolean {
  return answer.status === 200 && token !== '' && canariesIn(answer.body, { token }).length === 0
}

async function theRecords({ scene, agent, narrator, told, stolenKey }: Cast): Promise<void> {
  const code = await agent.finish()
  narrator.step(`7. All of this is written down.   $ postern logs ${recordsFile}`)
  const records = await readWithLogs(scene.postern)
  for (const line of asTable(records)) console.log(line)
  const blocked = records.find(({ refusal }) => refusal?.reason === 'blocked_address')
  narrator.step(`   And explained.   $ postern why ${blocked?.id.slice(-8)}`)
  const why = await scene.postern.read(['why', blocked?.id ?? '', '--records', recordsFile])
  for (const line of blocked === undefined ? [] : asExplanation(blocked)) console.log(line)
  console.log()
  narrator.check('one record for each request', records.length === 8, records.length)
  narrator.check('the explanation names the address that was blocked', why.includes('169.254.169.254'), why)
  narrator.check('the agent has ended, and `postern exec` with it', code === 0, code)
  checkForLeaks(scene, records, told, stolenKey, narrator)
}

function checkForLeaks(
  scene: Scene,
  records: readonly AuditRecord[],
  told: readonly Report[],
  stolenKey: string,
  narrator: Narrator,
): void {
  const canaries = { ...scene.canaries, 'the access token': tokenOf(scene) }
  const withAgent = canariesIn(JSON.stringify(told), canaries)
  const inRecords = canariesIn(JSON.stringify(records), { ...canaries, 'the stolen key': stolenKey })
  narrator.check(
    'no secret in anything that the agent saw, none in the records',
    withAgent.length + inRecords.length === 0,
    {
      withAgent,
      inRecords,
    },
  )
}

/** The access token that the API saw last. */
function tokenOf({ crm }: Scene): string {
  return crm.seen.at(-1)?.authorization.replace(/^Bearer /, '') ?? ''
}

function shorten(text: string, length = 28): string {
  return text.length <= length ? text : `${text.slice(0, length)}…`
}
