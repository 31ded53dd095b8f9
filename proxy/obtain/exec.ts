// Credential from a command that prints it as JSON.
import * as z from 'zod'
import { Refusal } from '../refusal.ts'
import { endingKeys, span } from './common-settings.ts'
import { parseExecAnswer } from './exec-answer.ts'
import { makeSecret } from './make-secret.ts'
import type { CredentialProvider, Lease, Need } from './provider.ts'
import { runCommand } from './run-command.ts'
import type { Surroundings } from './surroundings.ts'

export const execSchema = z
  .strictObject({
    kind: z.literal('exec').describe('A command that prints the credential as JSON.'),
    ...endingKeys,
    command: z
      .tuple([z.string().min(1)], z.string())
      .describe('Program and arguments, as they are; no shell reads them.'),
    pass: z
      .array(z.string().min(1))
      .default(['PATH', 'HOME'])
      .describe('Names of the only environment variables of the proxy that the command gets.'),
    timeout: span.prefault('10s').describe('How long the command may take before it is killed.'),
  })
  .describe('A credential from a command that prints it as JSON.')

export class ExecProvider implements CredentialProvider {
  readonly kind = 'exec'
  readonly #name: string
  readonly #settings: z.output<typeof execSchema>
  readonly #surroundings: Pick<Surroundings, 'clock' | 'environment'>

  constructor(
    name: string,
    settings: z.output<typeof execSchema>,
    surroundings: Pick<Surroundings, 'clock' | 'environment'>,
  ) {
    this.#name = name
    this.#settings = settings
    this.#surroundings = surroundings
  }

  partition(): string {
    return ''
  }

  async obtain(_need: Need, signal: AbortSignal): Promise<Lease> {
    const { command, timeout } = this.#settings
    const { clock } = this.#surroundings
    const startedAt = clock()
    const output = await runCommand(command, this.#environment(), timeout, signal)
    const answer = parseExecAnswer(output, startedAt)
    if (answer.expiresAt !== undefined && answer.expiresAt <= clock())
      throw new Refusal('credential_unavailable', { detail: `${command[0]} printed a credential that has expired` })
    return {
      credential: this.#name,
      kind: this.kind,
      secret: makeSecret(this.#name, answer.secret, `what ${command[0]} printed as secret`),
      username: answer.username,
      expiresAt: answer.expiresAt,
      scopes: undefined,
      cache: 'miss',
    }
  }

  #environment(): Record<string, string> {
    const passed: Record<string, string> = {}
    for (const name of this.#settings.pass) {
      const value = this.#surroundings.environment[name]
      if (value !== undefined) passed[name] = value
    }
    return passed
  }
}
