// The trail of one process: seals each line right before it is written, and has checkpoints signed.
import type { AuditRecord } from '../line.ts'
import type { RecordSink } from '../sink.ts'
import { checkpointOf } from './checkpoint.ts'
import { hashOf, sealed } from './seal.ts'
import type { CheckpointSigner } from './signature.ts'

/** Where a trail goes on. */
export interface TrailStart {
  /** Of the last line; 0: there is none yet. */
  readonly seq: number
  /** Hash of the last line; of the id, where there is none yet. */
  readonly head: string
  /** Written into the first line. */
  readonly id?: string | undefined
}

export interface TrailOptions {
  readonly start: TrailStart
  /** The id stands in every line, since other processes write into the same file. */
  readonly shared: boolean
  /** Lines, and milliseconds, after which a checkpoint is due. */
  readonly checkpoint: { readonly records: number; readonly every: number }
  readonly signer: CheckpointSigner
  /** Epoch milliseconds. */
  readonly now: () => number
  readonly newId: (now: number) => string
  /** Gets each line as it is written, such as another place that keeps a copy. */
  readonly copy?: ((line: string) => void) | undefined
  /** A checkpoint could not be signed; it is tried again when the next one is due. */
  readonly failed: (error: unknown) => void
}

/** How far a trail has come. */
export interface TrailStatus {
  readonly seq: number
  readonly head: string
  /** The last line that a checkpoint of this process covers. */
  readonly checkpoint: number | undefined
}

/** A start at the first line. @param id 22 characters of base64url */
export const firstLine = (id: string): TrailStart => ({ seq: 0, head: hashOf(id), id })

export class Trail {
  readonly #options: TrailOptions
  #seq: number
  #head: string
  #uncovered = 0
  #covered: number | undefined
  #due = false
  #sink: Pick<RecordSink, 'write' | 'healthy'> | undefined
  readonly #timer: NodeJS.Timeout

  constructor(options: TrailOptions) {
    this.#options = options
    this.#seq = options.start.seq
    this.#head = options.start.head
    this.#timer = setInterval(() => this.checkpoint(), options.checkpoint.every).unref()
  }

  /** Where checkpoints are written. */
  attach(sink: Pick<RecordSink, 'write' | 'healthy'>): void {
    this.#sink = sink
  }

  /** To be called once for each line, in the order in which they are written. @param line a JSON object, without line end */
  readonly seal = (line: string): string => {
    const { start, shared, copy, checkpoint } = this.#options
    this.#seq += 1
    const text = sealed(line, this.#seq, this.#head, shared || this.#seq === 1 ? start.id : undefined)
    this.#head = hashOf(text)
    this.#uncovered += 1
    if (this.#uncovered >= checkpoint.records && !this.#due) {
      this.#due = true
      setImmediate(this.#checkpointDue)
    }
    copy?.(text)
    return text
  }

  readonly #checkpointDue = (): void => {
    this.checkpoint()
    this.#due = false
  }

  /** Writes a checkpoint over all lines so far, unless the last line is one. */
  checkpoint(): void {
    if (this.#uncovered === 0 || this.#sink?.healthy !== true) return
    const seq = this.#seq
    try {
      this.#sink.write(this.#checkpointRecord())
    } catch (error) {
      this.#options.failed(error)
    }
    // One that found no room was not sealed.
    if (this.#seq === seq) return
    this.#uncovered = 0
    this.#covered = seq
  }

  #checkpointRecord(): AuditRecord {
    const { signer, now, newId } = this.#options
    const time = now()
    return checkpointOf(
      {
        id: newId(time),
        time: new Date(time).toISOString(),
        seq: this.#seq,
        head: this.#head,
        count: this.#uncovered,
      },
      signer,
    )
  }

  status(): TrailStatus {
    return { seq: this.#seq, head: this.#head, checkpoint: this.#covered }
  }

  /** The last checkpoint. Lines that come afterwards are sealed all the same. */
  close(): void {
    clearInterval(this.#timer)
    this.checkpoint()
  }
}
