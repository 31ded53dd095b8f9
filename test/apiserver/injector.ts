// `postern injector run` as a pod would run it: the address of the API server in the environment, a token in a folder.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'

const program = fileURLToPath(new URL('../../cli/postern.js', import.meta.url))

export interface Injector {
  /** What it said. */
  log(): string
  stop(): Promise<void>
}

/** @param account folder with `token` and `ca.crt` */
export async function startInjector(settings: string, apiPort: number, account: string): Promise<Injector> {
  const child = spawn(process.execPath, [program, 'injector', 'run', '--config', settings, '--linger', '0'], {
    env: {
      PATH: process.env.PATH ?? '',
      KUBERNETES_SERVICE_HOST: 'localhost',
      KUBERNETES_SERVICE_PORT: String(apiPort),
      POSTERN_SERVICE_ACCOUNT: account,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let log = ''
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (text: Buffer) => {
      log += text
    })
  const stop = async () => {
    if (child.exitCode !== null || child.signalCode !== null) return
    child.kill('SIGTERM')
    await once(child, 'exit')
  }
  while (!log.includes('listening')) {
    const event = await Promise.race([once(child.stdout, 'data'), once(child.stderr, 'data'), once(child, 'exit')])
    if (child.exitCode !== null) throw new Error(`the injector ended: ${log}`, { cause: event })
  }
  return { log: () => log, stop }
}
