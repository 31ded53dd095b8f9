// Which configuration a command uses when none is named.
import { existsSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { CommandError, exit } from './exit.ts'

type Environment = Readonly<Record<string, string | undefined>>

const howToMakeOne = `Make one, for instance:

  version: 1
  trustDomain: my.example
  exec: { agent: spiffe://my.example/agent }
  destinations:
    api: { hosts: [api.example.com] }
  credentials:
    api-key: { kind: env, variable: API_KEY, for: [api] }
  rules:
    - name: the-agent-uses-the-api
      allow: { agents: [spiffe://my.example/agent], to: api }
      use: api-key
      inject: bearer

and see what it means with: postern check postern.yaml`

/**
 * In this order: the path given, $POSTERN_CONFIG, ./postern.yaml, $XDG_CONFIG_HOME/postern/postern.yaml.
 * @throws CommandError when there is none
 */
export function configPath(given: string | undefined, environment: Environment): string {
  const named = given ?? environment.POSTERN_CONFIG
  if (named !== undefined && named !== '') return named
  const usual = ['postern.yaml', join(ownFolder(environment), 'postern.yaml')]
  const found = usual.find((path) => existsSync(path))
  if (found !== undefined) return found
  throw new CommandError(
    exit.config,
    `There is no configuration: neither -c FILE, nor POSTERN_CONFIG, nor ${usual.join(', nor ')}.\n${howToMakeOne}`,
  )
}

const ownFolder = ({ XDG_CONFIG_HOME: folder }: Environment): string =>
  join(folder === undefined || folder === '' ? join(homedir(), '.config') : folder, 'postern')
