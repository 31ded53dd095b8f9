// The way to a Workload API, whatever carries the calls: gRPC on a socket, or nothing at all within one process.

export interface WorkloadApiDoor {
  /**
   * Opens the stream of this path, with an empty request, and yields its messages until it ends or the signal is aborted.
   * Fails with CallError.
   */
  follow(path: string, signal: AbortSignal): AsyncIterable<Uint8Array>
  /**
   * One question, one answer. Fails with CallError.
   * @param within milliseconds
   */
  ask(path: string, request: Uint8Array, within: number): Promise<Uint8Array>
}
