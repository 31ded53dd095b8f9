// Remembers something of the hosts that were used last: below a wildcard there are as many as an agent likes to name.

export const mostRemembered = 1_000

export class Recent<V> {
  /** In the order of the last `set`. */
  readonly #values = new Map<string, V>()

  get(key: string): V | undefined {
    return this.#values.get(key)
  }

  set(key: string, value: V): void {
    this.#values.delete(key)
    this.#values.set(key, value)
    if (this.#values.size <= mostRemembered) return
    for (const oldest of this.#values.keys()) {
      this.#values.delete(oldest)
      break
    }
  }

  delete(key: string): void {
    this.#values.delete(key)
  }

  get size(): number {
    return this.#values.size
  }
}
