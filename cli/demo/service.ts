// Postern as a service of this machine: `postern run`, and what agents need in their environment to go through it.
import type { ChildProcessWithoutNullStreams } from 'node:child_process'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { parseEnv } from 'node:util'
import { wayThrough } from '../exec/environment.ts'
import { agentsFolder, configurationFile, teamListener } from './configuration.ts'
import type { Scene } from './scene.ts'

export interface Service {
  /** Of agents. */
  readonly environment: Readonly<Record<string, string | undefined>>
  /** As an operator stops a service. @returns its exit code */
  stop(): Promise<number>
}

/** @throws when it ends before it is ready; the message is what it says on standard error */
export async function startService({ postern, directory, plain }: Scene): Promise<Service> {
  const child = postern.start(['run', '-c', configurationFile])
  child.stdout.resume()
  const port = await portOf(teamListener, child)
  const trust = parseEnv(await readFile(join(directory, agentsFolder, 'trust', 'agent.env'), 'utf8'))
  return {
    environment: { ...plain, ...trust, ...wayThrough(`http://127.0.0.1:${port}`) },
    async stop() {
      if (child.exitCode !== null) return child.exitCode
      const gone = once(child, 'exit')
      child.kill('SIGTERM')
      await gone
      return child.exitCode ?? 1
    },
  }
}

/** Its log says where it listens, and when it is ready. */
async function portOf(listener: string, child: ChildProcessWithoutNullStreams): Promise<number> {
  const said: string[] = []
  let port: number | undefined
  for await (const line of createInterface({ input: child.stderr })) {
    said.push(line)
    if (!line.startsWith('{')) continue
    const entry = JSON.parse(line)
    if (entry.message === 'listening' && entry.listener === listener) port = entry.port
    if (entry.message === 'ready') break
  }
  child.stderr.resume()
  if (port === undefined) throw new Error(`postern run: ${said.join('\n')}`)
  return port
}
