// The refusal of what cannot be looked into.
import { Refusal } from '../refusal.ts'

/** @param detail for the record: what stood in the way */
export function uninspectable(detail: string): Refusal {
  return new Refusal('response_uninspectable', { detail })
}
