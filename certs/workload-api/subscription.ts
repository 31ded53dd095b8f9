// Keeps one stream of the Workload API going: reads each message, and comes back when the stream has ended.
import { CallError, status } from './call-error.ts'

export interface SubscriptionOptions {
  /** For messages to the operator, such as `X.509-SVIDs`. */
  readonly what: string
  readonly open: (signal: AbortSignal) => AsyncIterable<Uint8Array>
  /** Takes a message; throws when it is to be discarded. */
  readonly take: (message: Uint8Array) => void
  /** The API says that there is nothing for this process: what it gave before may not be used any more. */
  readonly denied: (problem: Error) => void
  /** Told of everything that goes wrong, once until something else happens. */
  readonly onProblem: (problem: Error) => void
  /** Called after each message and each failure. */
  readonly heard: (problem: Error | undefined) => void
  readonly wait: Wait
  /** Milliseconds within which a stream must bring its first message (Workload API §4.3: at once). */
  readonly firstMessageWithin: number
}

/** Resolves after so many milliseconds, or when the signal is aborted. */
export type Wait = (milliseconds: number, signal: AbortSignal) => Promise<void>

const step = 1_000
const longest = 30_000

/** Goes on until the signal is aborted, or the API says that asking again is of no use. */
export async function subscribe(options: SubscriptionOptions, signal: AbortSignal): Promise<void> {
  const { what, denied, onProblem, heard, wait } = options
  let told: string | undefined
  const tell = (problem: Error): void => {
    if (problem.message !== told) onProblem(problem)
    told = problem.message
    heard(problem)
  }
  // As go-spiffe: 1 s, 2 s, … 30 s, and from the beginning after a good message.
  let failures = 0
  let hasty = false
  while (!signal.aborted) {
    const good = () => {
      failures = 0
      told = undefined
      heard(undefined)
    }
    const bad = (cause: unknown) => {
      tell(new Error(`a message about ${what} is discarded: ${messageOf(cause)}`, { cause }))
    }
    const { failure, messages } = await followOnce(options, { good, bad }, signal)
    if (signal.aborted) return
    if (failure === undefined && messages > 0 && !hasty) {
      // Closed by the server: at once, but not twice in a row for a single message each, lest it becomes a loop.
      hasty = true
      continue
    }
    hasty = false
    if (failure !== undefined) {
      const problem = new Error(`the Workload API gives no ${what}: ${failure.message}`, { cause: failure })
      if (failure.isDenied) denied(problem)
      tell(problem)
      if (failure.isFinal) return
    }
    failures++
    await wait(Math.min(failures * step, longest), signal)
  }
}

interface Told {
  readonly good: () => void
  readonly bad: (cause: unknown) => void
}

async function followOnce(
  { open, take, wait, firstMessageWithin }: SubscriptionOptions,
  { good, bad }: Told,
  signal: AbortSignal,
): Promise<{ failure: CallError | undefined; messages: number }> {
  const silence = new AbortController()
  const answered = new AbortController()
  void wait(firstMessageWithin, AbortSignal.any([signal, answered.signal])).then(() => {
    if (!answered.signal.aborted) silence.abort()
  })
  let messages = 0
  try {
    for await (const message of open(AbortSignal.any([signal, silence.signal]))) {
      messages++
      answered.abort()
      try {
        take(message)
      } catch (cause) {
        bad(cause)
        continue
      }
      good()
    }
    if (!silence.signal.aborted || signal.aborted) return { failure: undefined, messages }
    return { failure: new CallError(status.unavailable, 'it does not answer'), messages }
  } catch (error) {
    return {
      failure: error instanceof CallError ? error : new CallError(status.unknown, messageOf(error), error),
      messages,
    }
  } finally {
    answered.abort()
  }
}

const messageOf = (error: unknown) => (error instanceof Error ? error.message : String(error))
