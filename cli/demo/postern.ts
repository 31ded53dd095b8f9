// Runs the real `postern` of this folder.
import { type ChildProcess, type ChildProcessWithoutNullStreams, spawn } from 'node:child_process'
import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'

/** What Node starts it by. */
export const program = fileURLToPath(new URL('../postern.js', import.meta.url))

/** How to call it in a shell. */
export const commandLine = `${process.execPath} ${program}`

export class Postern {
  readonly #directory: string
  /** With the secrets of the proxy in it. */
  readonly #environment: Readonly<Record<string, string | undefined>>
  readonly #children = new Set<ChildProcess>()

  /** @param directory where it runs */
  constructor(directory: string, environment: Readonly<Record<string, string | undefined>>) {
    this.#directory = directory
    this.#environment = environment
  }

  /**
   * Starts it, with its standard streams as pipes.
   * @param environment of an agent that calls it; else the one with the secrets
   */
  start(args: readonly string[], environment = this.#environment): ChildProcessWithoutNullStreams {
    const child = spawn(process.execPath, [program, ...args], { cwd: this.#directory, env: { ...environment } })
    this.#children.add(child)
    child.on('exit', () => this.#children.delete(child))
    return child
  }

  /** Runs it to its end. */
  async run(args: readonly string[]): Promise<{ code: number | null; output: string; complaint: string }> {
    const child = this.start(args)
    const [output, complaint] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')])
    return { code: child.exitCode, output, complaint }
  }

  /**
   * Everything that it writes to standard output.
   * @throws when it ends with another exit code than 0; the message is what it says on standard error
   */
  async read(args: readonly string[]): Promise<string> {
    const { code, output, complaint } = await this.run(args)
    if (code !== 0) throw new Error(`postern ${args.join(' ')}: ${complaint}`)
    return output
  }

  /** Ends what still runs. */
  async close(): Promise<void> {
    await Promise.all(
      [...this.#children].map(async (child) => {
        const gone = once(child, 'exit')
        child.kill('SIGTERM')
        await gone
      }),
    )
  }
}
