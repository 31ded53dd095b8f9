// Whether this process should get work: each part says why it cannot yet, and readiness is that none does.

export interface NotReady {
  readonly check: string
  readonly why: string
}

export class Readiness {
  readonly #missing = new Map<string, string>()

  /** @param checks names of what must come up first; each starts as not ready */
  constructor(checks: readonly string[]) {
    for (const check of checks) this.#missing.set(check, 'not up yet')
  }

  ready(check: string): void {
    this.#missing.delete(check)
  }

  /** @param why for the operator; everyone who reaches the metrics port can read it */
  notReady(check: string, why: string): void {
    this.#missing.set(check, why)
  }

  get isReady(): boolean {
    return this.#missing.size === 0
  }

  get reasons(): NotReady[] {
    return Array.from(this.#missing, ([check, why]) => ({ check, why }))
  }
}
