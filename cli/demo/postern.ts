// Runs the real `postern` of this folder.
import { type ChildProcess, type ChildProcessWithoutNullStreams, spawn } from 'node:child_process'
import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'

const program = fileURLToPath(new URL('../postern.js', import.meta.url))

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

  /** Starts it, with its standard streams as pipes. */
  start(args: readonly string[]): ChildProcessWithoutNullStreams {
    const child = spawn(process.execPath, [program, ...args], {
      cwd: this.#directory,
      env: { ...this.#environment },
    })
    this.#children.add(child)
    child.on('exit', () => this.#children.delete(child))
    return child
  }

  /**
   * Everything that it writes to standard output.
   * @throws when it ends with another exit code than 0; the message is what it says on standard error
   */
  async read(args: readonly string[]): Promise<string> {
    const child = this.start(args)
    const [output, complaint] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')])
    if (child.exitCode !== 0) throw new Error(`postern ${args.join(' ')}: ${complaint}`)
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
