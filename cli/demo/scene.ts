// The scene of the demo: a folder with the configuration, three services on loopback, and secrets that only Postern gets.
import { randomBytes } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createLocalJWKSet } from 'jose'
import { LeafIssuer } from '../../certs/leaf-issuer.ts'
import { PodAuthority } from '../../certs/pod-authority.ts'
import { configuration, configurationFile, secretVariables, statementKeyFile } from './configuration.ts'
import { type Crm, startCrm } from './crm.ts'
import type { Canaries } from './leaks.ts'
import { type Login, startLogin } from './login.ts'
import { Model } from './model.ts'
import { Postern } from './postern.ts'

const resource = 'https://api.crm.example'

type Variables = Readonly<Record<string, string | undefined>>

export interface Scene {
  readonly directory: string
  readonly login: Login
  readonly crm: Crm
  readonly model: Model
  readonly postern: Postern
  /** Of Postern: the secrets are in it. */
  readonly environment: Variables
  /** Of agents that start without `postern exec`: nothing of Postern is in it. */
  readonly plain: Variables
  /** Where the agent finds the services. */
  readonly addresses: { readonly crm: string; readonly model: string }
  /** The secrets of Postern: none of them may turn up with the agent. */
  readonly canaries: Canaries
  close(): Promise<void>
}

export async function setScene(): Promise<Scene> {
  const directory = await mkdtemp(join(tmpdir(), 'postern-demo-'))
  const closing: (() => Promise<void>)[] = [() => rm(directory, { recursive: true, force: true })]
  const close = async (): Promise<void> => {
    for (const end of closing.splice(0).reverse()) await end()
  }
  try {
    const modelKey = `sk-proj-${randomBytes(36).toString('base64url')}`
    const authority = new PodAuthority({ now: Date.now })
    const certificates = new LeafIssuer(authority, { now: Date.now })

    const login = await startLogin(resource)
    const { clientSecret, statementKey, isRevoked } = login
    const { issuer, ca, keys } = login.server
    closing.push(async () => login.server[Symbol.asyncDispose]())
    const trust = { issuer, audience: resource, keys: createLocalJWKSet(keys), isRevoked }
    const crm = await startCrm(certificates, 8443, trust)
    closing.push(crm.close)
    const model = await Model.start(certificates, 9443, modelKey)
    closing.push(() => model.close())

    const ports = { crmPort: crm.port, modelPort: model.port }
    const text = configuration({ ...ports, issuer, resource, uid: process.getuid?.() ?? 0 })
    await writeFile(join(directory, configurationFile), text)
    await writeFile(join(directory, 'services.pem'), authority.certificatePem)
    await writeFile(join(directory, 'login.pem'), ca)
    await writeFile(join(directory, statementKeyFile), statementKey, { mode: 0o600 })

    const addresses = {
      crm: `https://api.crm.example:${crm.port}`,
      model: `https://llm.example:${model.port}/v1`,
    }
    const plain = { ...plainEnvironment(process.env), CRM_URL: addresses.crm, OPENAI_BASE_URL: addresses.model }
    const environment = { ...plain, [secretVariables.client]: clientSecret, [secretVariables.model]: modelKey }
    const postern = new Postern(directory, environment)
    closing.push(() => postern.close())
    const canaries = {
      'the client secret': clientSecret,
      'the model key': modelKey,
      'the key of statements': statementKey.split('\n')[2] ?? '',
    }
    return { directory, login, crm, model, postern, environment, plain, addresses, canaries, close }
  } catch (error) {
    await close()
    throw error
  }
}

/** Little enough to tell what of the agent's environment came from Postern. */
function plainEnvironment(environment: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const kept = ['PATH', 'HOME', 'USER', 'LANG', 'TERM', 'TMPDIR', 'NO_COLOR', 'FORCE_COLOR']
  return Object.fromEntries(
    kept.flatMap((name) => (environment[name] === undefined ? [] : [[name, environment[name]]])),
  )
}
