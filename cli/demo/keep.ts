// After the story, with `--keep`: Postern runs on as a service, and whoever looked on can be the agent.
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { writeTrustFiles } from '../../certs/trust-files.ts'
import { loadConfig } from '../../proxy/config/load.ts'
import { type Gate, open } from '../wire.ts'
import { configurationFile } from './configuration.ts'
import { paint } from './narrator.ts'
import { commandLine } from './postern.ts'
import { recordsFile } from './records.ts'
import type { Scene } from './scene.ts'

/** @param signal ends it */
export async function keepRunning(scene: Scene, signal: AbortSignal): Promise<void> {
  const { directory, environment } = scene
  const config = await loadConfig(join(directory, configurationFile), environment)
  const gate = await open(config, { environment })
  try {
    const variables = join(directory, 'agent.env')
    await writeFile(variables, await agentVariables(scene, gate))
    // Nobody tells the model any more that its words arrive, so it speaks at a pace of its own.
    scene.model.patience = 60
    explain(directory, variables)
    if (!signal.aborted) await once(signal, 'abort')
  } finally {
    await gate.close('the demo has ended')
  }
}

/** For a shell to read: the way through Postern, trust in it, the addresses of the services, stand-ins. */
async function agentVariables({ directory, addresses }: Scene, gate: Gate): Promise<string> {
  const [address] = gate.addresses.values()
  if (address?.kind !== 'tcp') throw new Error('the listener has no port')
  const proxy = `http://${address.host}:${address.port}`
  const trust = await writeTrustFiles({ directory, caPem: gate.caPem })
  const variables = {
    ...trust.environment,
    ...Object.fromEntries(['http_proxy', 'https_proxy', 'HTTPS_PROXY'].map((name) => [name, proxy])),
    NODE_USE_ENV_PROXY: '1',
    CRM_URL: addresses.crm,
    OPENAI_BASE_URL: addresses.model,
    ...Object.fromEntries(gate.standIns.map(({ variable, value }) => [variable, value])),
  }
  const lines = Object.entries(variables).map(([name, value]) => `export ${name}='${value}'\n`)
  return lines.join('')
}

function explain(directory: string, variables: string): void {
  const lines = [
    '',
    paint('bold', 'It goes on. Be the agent, in another shell of this user:'),
    '',
    `  . ${variables}`,
    '  curl "$CRM_URL/v1/contacts"',
    '  curl "$CRM_URL/v1/contacts/c_1" -X DELETE',
    '  curl "$CRM_URL/v1/echo" --compressed',
    '  curl -N "$OPENAI_BASE_URL/chat/completions" -H "Authorization: Bearer $OPENAI_API_KEY" -d {}',
    '',
    'And look on, or stop it:',
    '',
    `  ${commandLine} logs -f ${join(directory, recordsFile)}`,
    `  ${commandLine} check ${join(directory, configurationFile)}`,
    `  ${commandLine} kill --all --reason try -c ${join(directory, configurationFile)}`,
    '',
    'Ctrl-C ends it and leaves nothing behind.',
  ]
  console.log(lines.join('\n'))
}
