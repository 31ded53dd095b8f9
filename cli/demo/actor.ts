// The demo's handle on its agent, which `postern exec` runs.
import type { ChildProcessWithoutNullStreams } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { configurationFile } from './configuration.ts'
import type { Postern } from './postern.ts'
import { type Report, reportSchema } from './reports.ts'

const program = fileURLToPath(new URL('./agent.ts', import.meta.url))

export class Actor {
  readonly #child: ChildProcessWithoutNullStreams
  readonly #lines: AsyncIterator<string>

  /**
   * @param stolenKey a credential of somebody else's that the agent came by
   * @param onRemark told of each line that Postern writes to standard error
   */
  constructor(postern: Postern, stolenKey: string, onRemark: (line: string) => void) {
    const node = [process.execPath, '--disable-warning=ExperimentalWarning', program, stolenKey]
    this.#child = postern.start(['exec', '--quiet', '-c', configurationFile, '--', ...node])
    // When it is gone, `ask` says so.
    this.#child.stdin.on('error', () => {})
    createInterface({ input: this.#child.stderr }).on('line', onRemark)
    this.#lines = createInterface({ input: this.#child.stdout })[Symbol.asyncIterator]()
  }

  /**
   * Has the agent do a step.
   * @param onHear told of each event of a stream
   * @throws when the agent ends instead, or tells of something else
   */
  async ask<Kind extends Report['did']>(
    step: string,
    kind: Kind,
    onHear: () => void = () => {},
  ): Promise<Extract<Report, { did: Kind }>> {
    this.#child.stdin.write(`${step}\n`)
    for (;;) {
      const report = await this.#next(step)
      if (isOf(report, kind)) return report
      if (report.did !== 'hear') throw new Error(`the agent told of another thing in the step ${step}: ${report.did}`)
      onHear()
    }
  }

  async #next(step: string): Promise<Report> {
    const { value, done } = await this.#lines.next()
    if (done === true) throw new Error(`the agent ended in the step ${step}`)
    const report = reportSchema.parse(JSON.parse(value))
    if (report.step !== step) throw new Error(`the agent told of ${report.step}, not of ${step}`)
    return report
  }

  /** Lets the agent finish. @returns the exit code of `postern exec` */
  async finish(): Promise<number> {
    const { exitCode } = this.#child
    if (exitCode !== null) return exitCode
    const gone = once(this.#child, 'exit')
    this.#child.stdin.end()
    await gone
    return this.#child.exitCode ?? 1
  }
}

function isOf<Kind extends Report['did']>(report: Report, kind: Kind): report is Extract<Report, { did: Kind }> {
  return report.did === kind
}
