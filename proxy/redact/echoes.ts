// What an answer gave back so far, and what is to be done about it.
import type { Destination, Finding } from '../exchange.ts'
import { Refusal } from '../refusal.ts'

export class Echoes {
  readonly policy: Destination['echo']
  /** One for each place; the count of a body's grows while it passes. */
  readonly findings: (Finding & { count: number })[] = []

  constructor(policy: Destination['echo']) {
    this.policy = policy
  }

  /** @param where as in `Finding` */
  add(where: string, count: number): void {
    if (count === 0) return
    const present = this.findings.find((finding) => finding.where === where)
    if (present === undefined) this.findings.push({ kind: 'secret_echoed', where, count })
    else present.count += count
  }

  /** Whether the exchange ends here. */
  get blocked(): boolean {
    return this.policy === 'block' && this.findings.length > 0
  }

  refusal(): Refusal {
    const where = this.findings.map((finding) => finding.where).join(', ')
    return new Refusal('secret_echoed', { detail: `found in ${where}`, findings: this.findings })
  }
}
