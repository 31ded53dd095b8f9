// One call that is to be allowed: whether it is, and whether the record says that it got its credential.
import type { AuditRecord } from '../../proxy/record/line.ts'
import type { Answer } from './answer.ts'
import { Refused } from './answer.ts'
import { type Check, type Finding, green, red, skipped } from './check.ts'
import { messageOf } from './proxy.ts'
import { notAnswered, type Scene } from './scene.ts'

const idField = 'postern-request-id'
const nameOne = 'no call is named; --url names one that a rule allows'

export const callChecks: readonly Check[] = [
  {
    name: 'call',
    proves: 'a call that a rule allows is answered, through the proxy',
    patience: 12_000,
    run: async (scene) => {
      const not = await notAnswered(scene)
      if (not !== undefined) return skipped(not)
      if (scene.url === undefined) return skipped(nameOne)
      try {
        return judgeCall(await scene.call())
      } catch (error) {
        return red(`${scene.url.host} gave no answer: ${messageOf(error)}.`, alertTold(error))
      }
    },
  },
  {
    name: 'call-recorded',
    proves: 'that call is written down, as allowed',
    patience: 16_000,
    run: (scene, signal) =>
      withRecord(scene, signal, ({ id, outcome, refusal, caller, decision }) =>
        outcome === 'allowed'
          ? green(`Record ${id}: ${caller?.spiffe_id ?? 'nobody'} was allowed by ${decision?.rule}.`)
          : red(`Record ${id} says ${outcome}: ${refusal?.reason}.`, `\`postern why ${id}\` says more.`),
      ),
  },
  {
    name: 'call-injected',
    proves: 'that call got its credential, and the agent never had it',
    patience: 16_000,
    run: (scene, signal) => withRecord(scene, signal, judgeInjection),
  },
]

export function judgeCall({ status, headers, body }: Answer): Finding {
  const id = headers[idField]
  if (id === undefined) {
    return red(
      'The answer did not come through the proxy: it has no Postern-Request-Id.',
      'See the lines capture-rules and proxy; in explicit mode, see whether no_proxy names the host.',
    )
  }
  const reason = headers['postern-reason']
  if (reason !== undefined) {
    return red(`It was refused: ${reason} (request ${id}).`, `${nextIn(body)}\`postern why ${id}\` says more.`)
  }
  if (status === 401 || status === 403) {
    return red(
      `It was allowed, and the API answered ${status} (request ${id}).`,
      'The credential is missing, wrong or too narrow: see `use` of the rule, and its source.',
    )
  }
  return green(`Answered ${status}, as request ${id}.`)
}

function nextIn(body: string): string {
  try {
    const { next } = JSON.parse(body)
    return typeof next === 'string' ? `${next} ` : ''
  } catch {
    return ''
  }
}

function alertTold(error: unknown): string {
  const refused = error instanceof Refused || /alert/i.test(messageOf(error))
  return refused
    ? 'No rule could allow this caller anything at that host; `postern policy explain` says why.'
    : 'See whether the name can be resolved and the host reached from the proxy; `postern logs` shows the attempt.'
}

/** @param judge the record of the call, or of the request that was named */
async function withRecord(
  scene: Scene,
  signal: AbortSignal,
  judge: (record: AuditRecord) => Finding,
): Promise<Finding> {
  const { records, request } = scene
  if (typeof records === 'string') return skipped(records)
  const id = request ?? (await idOfCall(scene))
  if (id === undefined)
    return skipped('no call was answered, so that there is no record to look for; --request names one of before')
  const record = await records.find(id, AbortSignal.any([signal, AbortSignal.timeout(5_000)]))
  if (record !== undefined) return judge(record)
  return red(
    `${records.path} has no record of request ${id}.`,
    'See whether records go elsewhere (`records.to`), and whether they can be written.',
  )
}

async function idOfCall(scene: Scene): Promise<string | undefined> {
  if ((await notAnswered(scene)) !== undefined || scene.url === undefined) return undefined
  return scene.call().then(
    ({ headers }) => headers[idField],
    () => undefined,
  )
}

export function judgeInjection({ id, outcome, decision, credential, injected }: AuditRecord): Finding {
  if (injected !== undefined && credential !== undefined)
    return green(`Credential ${credential.name} was put in as ${injected.placement}, for rule ${decision?.rule}.`)
  if (outcome !== 'allowed') return skipped('it was not allowed, so that there was nothing to put in')
  if (credential === undefined)
    return skipped(`rule ${decision?.rule} names no credential; --url names a call that gets one`)
  return red(
    `Rule ${decision?.rule} names the credential ${credential.name}, and none was put in.`,
    `With \`inject: placeholder\` the agent must send its stand-in. \`postern why ${id}\` says more.`,
  )
}
