// Sends a copy of each line to a collector: OTLP logs over HTTP as JSON, in batches, beside the path of requests.
import type { AuditRecord } from './line.ts'

export interface OtlpEvents {
  /** From here on the collector takes nothing. Called once for each trouble. */
  failed(error: Error): void
  /** It takes lines again; so many were dropped meanwhile. */
  recovered(dropped: number): void
  dropped(count: number): void
}

export interface OtlpOptions {
  readonly endpoint: string
  readonly headers: Readonly<Record<string, string>>
  readonly version: string
  readonly events: OtlpEvents
  readonly limits?: OtlpLimits
}

export interface OtlpLimits {
  /** Characters that may wait. */
  readonly backlog: number
  /** Lines in one message. */
  readonly batch: number
  /** Milliseconds that a line may wait for others. */
  readonly linger: number
  /** Milliseconds that the collector may take to answer. */
  readonly patience: number
  /** Milliseconds before the second attempt; doubled for each further one. */
  readonly firstPause: number
  /** The longest pause. */
  readonly longestPause: number
}

export const otlpLimits: OtlpLimits = {
  backlog: 8 << 20,
  batch: 512,
  linger: 1_000,
  patience: 10_000,
  firstPause: 1_000,
  longestPause: 30_000,
}

/** What may be sent again (OTLP/HTTP, failures). */
const passing = new Set([408, 429, 502, 503, 504])

/** One message is on its way at a time. A refusal for good drops it; anything else is tried again. */
export class OtlpCopy {
  readonly #options: OtlpOptions
  readonly #limits: OtlpLimits
  #lines: string[] = []
  #waiting = 0
  #timer: NodeJS.Timeout | undefined
  #sending: Promise<void> | undefined
  #troubled = false
  #dropped = 0
  readonly #ended = new AbortController()

  constructor(options: OtlpOptions) {
    this.#options = options
    this.#limits = options.limits ?? otlpLimits
  }

  /** Costs a push; never throws. */
  take(line: string): void {
    if (this.#waiting + line.length > this.#limits.backlog) {
      this.#drop(1)
      return
    }
    this.#lines.push(line)
    this.#waiting += line.length
    if (this.#sending !== undefined) return
    if (this.#lines.length >= this.#limits.batch) this.#begin()
    else this.#timer ??= setTimeout(() => this.#begin(), this.#limits.linger).unref()
  }

  /** Sends what is left, for no longer than one attempt takes. */
  async close(): Promise<void> {
    clearTimeout(this.#timer)
    const end = setTimeout(() => this.#ended.abort(), this.#troubled ? 0 : this.#limits.patience)
    this.#begin()
    await this.#sending
    clearTimeout(end)
    this.#ended.abort()
    if (this.#lines.length > 0) this.#options.events.dropped(this.#lines.length)
    this.#lines = []
  }

  #drop(count: number): void {
    this.#dropped += count
    this.#options.events.dropped(count)
  }

  #begin(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    this.#sending ??= this.#sendAll().finally(() => {
      this.#sending = undefined
    })
  }

  async #sendAll(): Promise<void> {
    while (this.#lines.length > 0 && !this.#ended.signal.aborted) {
      const lines = this.#lines.slice(0, this.#limits.batch)
      const taken = await this.#deliver(messageOf(lines, this.#options.version))
      if (this.#ended.signal.aborted && taken === undefined) return
      this.#lines.splice(0, lines.length)
      this.#waiting -= lines.reduce((sum, { length }) => sum + length, 0)
      if (taken === true) this.#recovered()
      else this.#drop(lines.length)
    }
  }

  /** @returns whether the collector took it; undefined: the end came before an answer */
  async #deliver(message: string): Promise<boolean | undefined> {
    const { firstPause, longestPause } = this.#limits
    for (let pause = firstPause; !this.#ended.signal.aborted; pause = Math.min(2 * pause, longestPause)) {
      const answer = await this.#post(message)
      if (answer.verdict !== 'again') return answer.verdict === 'taken'
      await sleep(Math.min(answer.retryAfter ?? pause, longestPause), this.#ended.signal)
    }
    return undefined
  }

  async #post(message: string): Promise<Answer> {
    const { endpoint, headers } = this.#options
    try {
      const response = await fetch(endpoint, {
        method: 'POST',
        headers: { ...headers, 'content-type': 'application/json' },
        body: message,
        // A header with a secret goes nowhere else.
        redirect: 'error',
        signal: AbortSignal.any([this.#ended.signal, AbortSignal.timeout(this.#limits.patience)]),
      })
      await response.body?.cancel()
      if (response.ok) return { verdict: 'taken' }
      this.#fail(new Error(`${endpoint} answered ${response.status}`))
      if (!passing.has(response.status)) return { verdict: 'refused' }
      return { verdict: 'again', retryAfter: secondsOf(response.headers.get('retry-after')) }
    } catch (error) {
      if (!this.#ended.signal.aborted) this.#fail(error instanceof Error ? error : new Error(String(error)))
      return { verdict: 'again' }
    }
  }

  #fail(error: Error): void {
    if (this.#troubled) return
    this.#troubled = true
    this.#options.events.failed(error)
  }

  #recovered(): void {
    if (!this.#troubled) return
    this.#troubled = false
    this.#options.events.recovered(this.#dropped)
    this.#dropped = 0
  }
}

interface Answer {
  readonly verdict: 'taken' | 'refused' | 'again'
  /** Milliseconds. */
  readonly retryAfter?: number | undefined
}

const secondsOf = (text: string | null) => (text !== null && /^\d{1,6}$/.test(text) ? Number(text) * 1_000 : undefined)

function sleep(milliseconds: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer)
      signal.removeEventListener('abort', done)
      resolve()
    }
    const timer = setTimeout(done, milliseconds).unref()
    signal.addEventListener('abort', done)
  })
}

/** The line itself is the body, byte for byte, so that the collector's copy can be verified too. */
function messageOf(lines: readonly string[], version: string): string {
  return JSON.stringify({
    resourceLogs: [
      {
        resource: { attributes: [text('service.name', 'postern'), text('service.version', version)] },
        scopeLogs: [{ scope: { name: 'postern.records', version: '1' }, logRecords: lines.map(logRecordOf) }],
      },
    ],
  })
}

function logRecordOf(line: string) {
  const record: AuditRecord = JSON.parse(line)
  const severity = severityOf(record)
  return {
    timeUnixNano: `${Date.parse(record.time)}000000`,
    severityNumber: severity.number,
    severityText: severity.text,
    eventName: `postern.${record.kind}`,
    body: { stringValue: line },
    attributes: [
      text('log.record.uid', record.id),
      text('postern.kind', record.kind),
      ...optional('postern.outcome', record.outcome),
      ...optional('postern.reason', record.refusal?.reason),
      ...optional('postern.caller', record.caller?.spiffe_id),
      ...optional('server.address', record.destination?.host),
    ],
  }
}

/** SeverityNumber of the data model for logs: INFO 9, WARN 13, ERROR 17. */
function severityOf({ kind, outcome }: AuditRecord): { readonly number: number; readonly text: string } {
  if (kind === 'gap' || kind === 'audit') return { number: 17, text: 'ERROR' }
  return outcome === undefined || outcome === 'allowed' ? { number: 9, text: 'INFO' } : { number: 13, text: 'WARN' }
}

const text = (key: string, value: string) => ({ key, value: { stringValue: value } })
const optional = (key: string, value: string | undefined) => (value === undefined ? [] : [text(key, value)])
