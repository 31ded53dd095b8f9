// Gives orders to the load's process.
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { type Running, start } from '../processes.ts'
import type { Answer, Ask, OrderName } from './orders.ts'

export class Load {
  readonly #running: Running

  private constructor(running: Running) {
    this.#running = running
  }

  static async start(core: number | undefined): Promise<Load> {
    return new Load(await start({ args: [fileURLToPath(new URL('./main.ts', import.meta.url))], core, ipc: true }))
  }

  get pid(): number {
    return this.#running.pid
  }

  /** @throws when the load's process ends instead of answering */
  async order<Name extends OrderName>(name: Name, ask: Ask<Name>): Promise<Answer<Name>> {
    const { child } = this.#running
    const settled = new AbortController()
    try {
      child.send({ name, ask })
      return await Promise.race([
        once(child, 'message', settled).then(([{ answer }]) => answer as Answer<Name>),
        once(child, 'exit', settled).then(() => {
          throw new Error(`the load ended during ${name}: ${this.#running.complaint()}`)
        }),
      ])
    } finally {
      settled.abort()
    }
  }

  stop(): Promise<void> {
    return this.#running.stop()
  }
}
