// Tells waiting iterators that something changed; several changes between two looks are told once.

export class Changes {
  #count = 0
  readonly #waiting = new Set<() => void>()

  announce(): void {
    this.#count++
    for (const wake of this.#waiting) wake()
    this.#waiting.clear()
  }

  /** Yields after each change from now on; ends when the signal is aborted. */
  since(signal: AbortSignal): AsyncIterable<void> {
    return this.#iterate(this.#count, signal)
  }

  async *#iterate(seen: number, signal: AbortSignal): AsyncGenerator<void> {
    while (!signal.aborted) {
      if (seen === this.#count) {
        await this.#next(signal)
        continue
      }
      seen = this.#count
      yield
    }
  }

  #next(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const wake = (): void => {
        signal.removeEventListener('abort', wake)
        this.#waiting.delete(wake)
        resolve()
      }
      this.#waiting.add(wake)
      signal.addEventListener('abort', wake, { once: true })
    })
  }
}
