// What the tests of the policy share: reading questions as plainly as possible, without the capture's refusals.
import { parseSpiffeId } from '../../certs/spiffe-id.ts'
import type { Readers } from '../../policy/ask.ts'
import type { Question } from '../../policy/engine.ts'

/** Takes a URL apart and changes nothing in it, so that a case can hold what the capture would refuse. */
export const plainReaders: Readers = {
  id: parseSpiffeId,
  target(url) {
    const [, scheme, host = '', port, path = '', query = ''] =
      /^(https?):\/\/([^:/?#]+)(?::(\d+))?(\/[^?#]*)?(\?[^#]*)?$/.exec(url) ?? []
    if (scheme !== 'http' && scheme !== 'https') throw new Error(`not a URL: ${url}`)
    const standard = scheme === 'https' ? 443 : 80
    return { scheme, host, port: port === undefined ? standard : Number(port), path: path === '' ? '/' : path, query }
  },
}

export type Change = Partial<Omit<Question, 'request'>> & { readonly request?: Partial<Question['request']> }

/** A question that differs from a plain GET in what is given. */
export function question({ request, ...rest }: Change = {}): Question {
  return {
    now: Date.parse('2026-01-01T12:00:00Z'),
    caller: { id: parseSpiffeId('spiffe://acme.example/ns/agents/sa/researcher'), proofs: [] },
    principal: { kind: 'user', id: 'alice@acme.example' },
    chain: { depth: 0, agents: [], scopes: [] },
    ...rest,
    request: {
      method: 'GET',
      scheme: 'https',
      host: 'api.crm.example',
      port: 443,
      path: '/v1/contacts/7',
      query: '',
      headers: [],
      ...request,
    },
  }
}
