// One place for a credential in a request head.
import type { Lease } from '../obtain/provider.ts'
import type { Secret } from '../secret.ts'
import type { Draft } from './draft.ts'

export interface Writer {
  /** As records have it. */
  readonly kind: string
  /** Header field that it writes, where it is one of its own. */
  readonly field?: string
  /**
   * Writes the credential; one that the agent put there is taken out and found.
   * @returns each form in which it was written
   * @throws Refusal `credential_unavailable` when it cannot stand there, `placement_conflict`
   */
  write(lease: Lease, draft: Draft): readonly Secret[]
}
