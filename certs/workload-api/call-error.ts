// A call of the Workload API that failed, with the status of gRPC.

/** Those of gRPC's codes that mean something to us; written down so that gRPC is loaded only where it is used. */
export const status = {
  unknown: 2,
  invalidArgument: 3,
  permissionDenied: 7,
  unimplemented: 12,
  unavailable: 14,
} as const

const names: Readonly<Record<number, string>> = {
  1: 'cancelled',
  [status.unknown]: 'unknown error',
  [status.invalidArgument]: 'invalid argument',
  4: 'no answer in time',
  5: 'not found',
  [status.permissionDenied]: 'permission denied',
  8: 'resource exhausted',
  [status.unimplemented]: 'not implemented',
  13: 'internal error',
  [status.unavailable]: 'unavailable',
}

export class CallError extends Error {
  override readonly name = 'CallError'
  /** A number of gRPC's closed list. */
  readonly status: number
  /** As the server says it, without the name of the status. */
  readonly details: string

  constructor(status: number, details: string, cause?: unknown) {
    super(`${names[status] ?? `status ${status}`}: ${details}`, cause === undefined ? undefined : { cause })
    this.status = status
    this.details = details
  }

  /** The API says that this process has no identity, so that what it had is taken back (Workload Endpoint §6). */
  get isDenied(): boolean {
    return this.status === status.permissionDenied
  }

  /** Asking again would bring the same answer. */
  get isFinal(): boolean {
    return this.status === status.invalidArgument || this.status === status.unimplemented
  }
}
