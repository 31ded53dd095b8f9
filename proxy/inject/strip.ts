// Takes out of a request what must not leave: the fields of the agent's own connection, and the credentials that it sent.
import type { Credentialed, Finding, HeaderList, Target } from '../exchange.ts'
import { readableEncodings } from './accept-encoding.ts'
import { agentCredential, type Fingerprint } from './agent-credentials.ts'
import type { Draft } from './draft.ts'
import { FieldClasses, plainName } from './field-classes.ts'

/** Values of Connection that name nothing that is not taken out anyway. */
const plainConnection = new Set(['keep-alive', 'close', 'upgrade', 'keep-alive, upgrade', 'upgrade, keep-alive', 'te'])

export class Stripper {
  readonly #classes: FieldClasses
  readonly #agent: 'agent_credential_removed' | 'agent_credential_passed'
  readonly #fingerprint: Fingerprint

  /**
   * @param own name of the header field in which the credential will stand
   * @param agentPasses credentials of the agent are told of, but stay
   */
  constructor(fingerprint: Fingerprint, { own, agentPasses = false }: { own?: string; agentPasses?: boolean } = {}) {
    this.#classes = new FieldClasses(own)
    this.#agent = agentPasses ? 'agent_credential_passed' : 'agent_credential_removed'
    this.#fingerprint = fingerprint
  }

  /**
   * @param carries whether a credential will be put in. Then the answer must be readable, unless the destination is
   *   trusted with an echo: encodings are narrowed, and what would ask for a part of it is taken out.
   */
  strip({ target, headers, destination }: Credentialed, carries: boolean): Draft {
    const inspected = carries && destination.echo !== 'trusted-echo'
    const kept = ['host', authorityOf(target)]
    const findings: Finding[] = []
    let connection: string | undefined
    for (let at = 0; at + 1 < headers.length; at += 2) {
      const name = headers[at] ?? ''
      const value = headers[at + 1] ?? ''
      switch (this.#classes.of(name)) {
        case 'passes':
          kept.push(name, value)
          break
        case 'ends':
          break
        case 'connection':
          connection = connection === undefined ? value : `${connection},${value}`
          break
        case 'credential':
          findings.push(agentCredential(this.#agent, `header:${plainName(name)}`, value, this.#fingerprint))
          if (this.#agent === 'agent_credential_passed') kept.push(name, value)
          break
        case 'encoding':
          kept.push(name, inspected ? readableEncodings(value) : value)
          break
        case 'oracle':
          if (!inspected) kept.push(name, value)
          break
      }
    }
    const left = connection === undefined ? kept : withoutNamed(kept, connection)
    return { path: target.path + target.query, headers: left, findings }
  }
}

/** Fields that Connection names end here too; what the proxy writes itself stays (RFC 9110 §7.6.1). */
function withoutNamed(kept: string[], connection: string): string[] {
  const value = connection.toLowerCase()
  if (plainConnection.has(value)) return kept
  const named = new Set(value.split(',').map((name) => name.trim()))
  return kept.filter((_, at) => at < 2 || !named.has(nameAt(kept, at).toLowerCase()))
}

function nameAt(fields: HeaderList, at: number): string {
  return fields[at - (at % 2)] ?? ''
}

/** As Host has it: the port only where it is not the scheme's own, IPv6 in brackets. */
function authorityOf({ scheme, host, port }: Target): string {
  const name = host.includes(':') ? `[${host}]` : host
  return port === (scheme === 'https' ? 443 : 80) ? name : `${name}:${port}`
}
