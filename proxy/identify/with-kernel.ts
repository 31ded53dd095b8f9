// Holds the bearer of a token to the kernel's word: on a listener without TLS a token alone would serve whoever read it.
import type { Caller, Connection } from '../exchange.ts'
import { Refusal } from '../refusal.ts'
import type { Attestor } from './attestor.ts'

/**
 * @param caller whom the token proves
 * @returns the same, with what the kernel adds and both proofs
 * @throws Refusal `unidentified_caller` unless the user that holds the socket is mapped to the same ID
 */
export async function withKernel(
  caller: Caller,
  kernel: Attestor,
  connection: Connection,
  signal: AbortSignal,
): Promise<Caller> {
  const seen = await kernel.attest(connection, signal)
  if (seen === undefined) refuse('kernel: it says nothing of the caller’s socket, or the user is not mapped')
  if (seen.id !== caller.id) refuse(`kernel: user ${seen.uid} is ${seen.id}, the token is of ${caller.id}`)
  return { ...seen, ...caller, proofs: [...caller.proofs, ...seen.proofs] }
}

function refuse(detail: string): never {
  throw new Refusal('unidentified_caller', { detail })
}
