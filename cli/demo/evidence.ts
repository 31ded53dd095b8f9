// Chapter 12: what the records of the second part say, and that nobody can alter them unnoticed.
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { canariesIn } from './leaks.ts'
import { asTable, readWithLogs, recordsFile } from './records.ts'
import type { SecondCast } from './second-cast.ts'

/**
 * @param idToken of the user
 * @param codes exit codes of the agents and of the service, which have ended
 */
export async function theEvidence(cast: SecondCast, idToken: string, codes: readonly number[]): Promise<void> {
  const { scene, narrator } = cast
  const agents = '*/planner*'
  narrator.step(`12. All of this is written down, too.   $ postern logs ${recordsFile} --agent '${agents}'`)
  const records = await readWithLogs(scene.postern, ['--agent', agents])
  for (const line of asTable(records)) console.log(line)
  console.log()
  const ended = codes.every((code) => code === 0)
  narrator.check('the agents have ended, and the service', ended, codes)
  await nothingWasAltered(cast)
  await nothingLeaked(cast, idToken)
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
