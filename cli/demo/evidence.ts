// Chapter 12: what the records of the second part say, and that nobody can alter them unnoticed.
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { ChainTree } from '../../proxy/record/chain-tree.ts'
import { plannerId, researcherId } from './configuration.ts'
import { canariesIn } from './leaks.ts'
import { asTree, recordsFile } from './records.ts'
import type { SecondCast } from './second-cast.ts'
import { plannersScopes, researchersScopes } from './team.ts'

/**
 * @param idToken of the user
 * @param codes exit codes of the agents and of the service, which have ended
 */
export async function theEvidence(cast: SecondCast, idToken: string, codes: readonly number[]): Promise<void> {
  await theTree(cast)
  const ended = codes.every((code) => code === 0)
  cast.narrator.check('the agents have ended, and the service', ended, codes)
  await nothingWasAltered(cast)
  await nothingLeaked(cast, idToken)
}

async function theTree({ scene, records, narrator }: SecondCast): Promise<void> {
  const { txn = '' } = await records.find((record) => record.txn !== undefined)
  const command = ['logs', '--chain', txn.slice(0, 8), recordsFile]
  narrator.step(`12. The records tell it as a tree.   $ postern ${command.join(' ')}`)
  const tree: ChainTree = JSON.parse(await scene.postern.read([...command, '--json']))
  for (const line of asTree(tree)) console.log(line)
  console.log()
  const [planner] = tree.roots
  const [researcher] = planner?.children ?? []
  narrator.check(
    'who handed what to whom, and what was kept back',
    planner?.id === plannerId &&
      researcher?.id === researcherId &&
      researcher.scopes.join() === researchersScopes.join() &&
      researcher.dropped.join() === plannersScopes.filter((scope) => !researchersScopes.includes(scope)).join(),
    tree,
  )
  const results = researcher?.requests.map(({ result }) => result) ?? []
  narrator.check(
    'what the researcher did with it, and what stopped it',
    ['200', 'no_rule', 'revoked, cut off under way'].every((result) => results.includes(result)) &&
      researcher?.stops.length === 1,
    researcher,
  )
}

async function nothingWasAltered({ scene, narrator }: SecondCast): Promise<void> {
  narrator.step(`    And nobody alters it unnoticed.   $ postern audit verify ${recordsFile}`)
  const [verdict = ''] = (await scene.postern.read(['audit', 'verify', recordsFile])).split('\n')
  narrator.check(verdict, /^\d+ records in 1 file: as written\.$/.test(verdict), verdict)

  const lines = (await readFile(join(scene.directory, recordsFile), 'utf8')).split('\n')
  const at = lines.findIndex((line) => line.includes('lacks crm.contacts.write'))
  const forged = 'forged.jsonl'
  const altered = lines.map((line, index) => (index === at ? line.replace('"refused"', '"allowed"') : line))
  await writeFile(join(scene.directory, forged), altered.join('\n'))
  const { code, output } = await scene.postern.run(['audit', 'verify', forged])
  const [, finding = ''] = output.split('\n')
  narrator.check(
    `in a copy, one “refused” made “allowed” is found: ${finding.split(':')[0]}`,
    code === 1 && finding.includes(`line ${at + 1}:`),
    output,
  )
}

async function nothingLeaked({ scene, team, narrator }: SecondCast, idToken: string): Promise<void> {
  const tokens = new Set(scene.crm.seen.map(({ authorization }) => authorization.replace(/^Bearer /, '')))
  const canaries = {
    ...scene.canaries,
    'the ID token': idToken,
    ...Object.fromEntries([...tokens].filter(Boolean).map((token, at) => [`access token ${at + 1}`, token])),
  }
  const withAgents = canariesIn(JSON.stringify(team.told), canaries)
  const inRecords = canariesIn(await readFile(join(scene.directory, recordsFile), 'utf8'), canaries)
  narrator.check(
    'no secret in anything that these agents saw, none in the records',
    withAgents.length + inRecords.length === 0,
    { withAgents, inRecords },
  )
}
