// What the proxy states of a delegation chain towards a token server: names alone, never the chain's own tokens.
import { type SpiffeId, trustDomainOf } from '../../../certs/spiffe-id.ts'
import type { Need } from '../provider.ts'

/** RFC 8693 §4.1; `iss` says in which context `sub` is a name. */
interface Act {
  readonly sub: string
  readonly iss: string
  readonly sub_profile: 'ai_agent'
  readonly act?: Act
}

export interface Statement {
  readonly subject: string
  readonly claims: Readonly<Record<string, unknown>>
}

/**
 * @param role `subject`: the principal, with the agents as actors; `actor`: the caller, with all agents beside it
 * @returns `act` nested with the caller outermost, every hop in it, except a first one that is the principal itself
 */
export function statementOf({ chain, principal, caller }: Need, role: 'subject' | 'actor'): Statement {
  const agents = chain.hops.length === 0 ? [caller.id] : chain.hops.map(({ id }) => id)
  const act = actOf(agents, principal.id)
  const ofUser = role === 'subject' && principal.kind === 'user'
  return {
    subject: role === 'subject' ? principal.id : caller.id,
    claims: { sub_profile: ofUser ? 'user' : 'ai_agent', ...(act === undefined ? {} : { act }) },
  }
}

function actOf(agents: readonly SpiffeId[], principal: string): Act | undefined {
  let act: Act | undefined
  for (const [index, id] of agents.entries()) {
    if (index === 0 && id === principal) continue
    const iss = `spiffe://${trustDomainOf(id)}`
    act = { sub: id, iss, sub_profile: 'ai_agent', ...(act === undefined ? {} : { act }) }
  }
  return act
}
