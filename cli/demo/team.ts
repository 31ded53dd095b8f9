// The demo's handle on its planner, which `postern delegate` runs, and on the researcher that the planner starts.
import type { ChildProcessWithoutNullStreams } from 'node:child_process'
import { EventEmitter, once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { researcherId } from './configuration.ts'
import { type Postern, program } from './postern.ts'
import { type Member, type TeamReport, teamReportSchema } from './team-reports.ts'

const worker = fileURLToPath(new URL('./worker.ts', import.meta.url))
const node = [process.execPath, '--disable-warning=ExperimentalWarning']

/** What the planner asks for on the user's behalf, and what of it it hands on. */
export const plannersScopes = ['crm.contacts.read', 'crm.contacts.write']
export const researchersScopes = ['crm.contacts.read']

type Did<Kind extends TeamReport['did']> = Extract<TeamReport, { did: Kind }>

export class Team {
  /** All that the agents ever told. */
  readonly told: TeamReport[] = []
  readonly #unread: TeamReport[] = []
  readonly #news = new EventEmitter()
  readonly #child: ChildProcessWithoutNullStreams
  readonly #gone: Promise<unknown>
  #nonsense: unknown

  /**
   * @param environment of the planner: the way through Postern, and trust in it
   * @param tokenFile with the ID token of the user on whose behalf it works
   * @param onRemark told of each line that is written to standard error
   */
  constructor(
    postern: Postern,
    environment: Readonly<Record<string, string | undefined>>,
    tokenFile: string,
    onRemark: (line: string) => void,
  ) {
    const handOn = [process.execPath, program, 'delegate', ...scopes(researchersScopes), '--to', researcherId, '--']
    const planner = [...node, worker, 'planner', ...handOn]
    const root = ['delegate', ...scopes(plannersScopes), '--subject-token-file', tokenFile]
    this.#child = postern.start([...root, '--', ...planner], environment)
    this.#gone = once(this.#child, 'close')
    // When it is gone, `hear` says so.
    this.#child.stdin.on('error', () => {})
    createInterface({ input: this.#child.stderr }).on('line', onRemark)
    createInterface({ input: this.#child.stdout }).on('line', (line) => this.#hears(line))
  }

  /** Has one of them do a step. */
  tell(who: Member, step: string): void {
    this.#child.stdin.write(who === 'planner' ? `${step}\n` : `${who} ${step}\n`)
  }

  /**
   * The next report of this kind that was not taken yet.
   * @throws when there is none within 10 s, or they end instead
   */
  async hear<Kind extends TeamReport['did']>(who: Member, kind: Kind): Promise<Did<Kind>> {
    const deadline = AbortSignal.timeout(10_000)
    for (;;) {
      const report = this.take(who, kind)
      if (report !== undefined) return report
      if (this.#nonsense !== undefined) throw this.#nonsense
      const ended = this.#gone.then(() => true)
      if ((await Promise.race([once(this.#news, 'report', { signal: deadline }), ended])) === true)
        throw new Error(`planner and researcher ended before the ${who} told of ${kind}`)
    }
  }

  /** What is there already. */
  take<Kind extends TeamReport['did']>(who: Member, kind: Kind): Did<Kind> | undefined {
    const wanted = (report: TeamReport): report is Did<Kind> => report.did === kind && report.who === who
    const found = this.#unread.find(wanted)
    if (found !== undefined) this.#unread.splice(this.#unread.indexOf(found), 1)
    return found
  }

  async ask<Kind extends TeamReport['did']>(who: Member, step: string, kind: Kind): Promise<Did<Kind>> {
    this.tell(who, step)
    return await this.hear(who, kind)
  }

  /** Lets them finish. @returns the exit code of the planner */
  async finish(): Promise<number> {
    this.#child.stdin.end()
    await this.#gone
    return this.#child.exitCode ?? 1
  }

  #hears(line: string): void {
    try {
      const report = teamReportSchema.parse(JSON.parse(line))
      this.told.push(report)
      this.#unread.push(report)
    } catch (error) {
      this.#nonsense = error
    }
    this.#news.emit('report')
  }
}

const scopes = (list: readonly string[]): string[] => list.flatMap((scope) => ['--scope', scope])
