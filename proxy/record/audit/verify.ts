// Verifies records: every line is the one that was written, in its place, and none is missing between the first and the last.
import { auditRecord } from '../schema.ts'
import { type CheckedCheckpoint, checkCheckpoint, type TrustInSigners } from './check-checkpoint.ts'
import type { Finding, Note, Place, Report, SignerReport } from './findings.ts'
import { FollowedTrail } from './followed-trail.ts'
import { eachLine, inOrder } from './record-files.ts'
import { goesOnAfterSeal, hashOf, type Seal, sealOf } from './seal.ts'

export interface VerifyOptions extends TrustInSigners {
  /** A hash that was noted down earlier: a line that has it must be there. */
  readonly expectHead?: string | undefined
  /** The first record must be there; without this, files that begin later are taken for what rotation has left. */
  readonly fromStart?: boolean | undefined
  /** A record of this number must be there. */
  readonly expectSeq?: number | undefined
}

/** Findings that are listed; one cause can have many. */
export const mostFindings = 1_000

/**
 * @param files in any order; `-` for standard input
 * @throws when one cannot be read
 */
export async function verifyFiles(files: readonly string[], options: VerifyOptions): Promise<Report> {
  const ordered = await inOrder(files)
  const verifier = new Verifier(options)
  for (const file of ordered) {
    verifier.begin(file)
    await eachLine(file, (line, ended) => verifier.line(line, ended))
  }
  return verifier.end()
}

/** A line that is no record; what stands behind it tells what it is. */
interface Stray extends Place {
  readonly bytes: Buffer
  readonly ended: boolean
}

export class Verifier {
  readonly #options: VerifyOptions
  readonly #files: string[] = []
  readonly #trails: FollowedTrail[] = []
  #current: FollowedTrail | undefined
  readonly #findings: Finding[] = []
  #more = 0
  readonly #notes: Note[] = []
  readonly #signers = new Map<string, { by: CheckedCheckpoint['by']; count: number }>()
  #file = '-'
  #line = 0
  #records = 0
  /** Lines of the time before there were trails. */
  #unsealed: { readonly at: Place; count: number } | undefined
  #stray: Stray | undefined
  #headSeen = false
  #last: (Place & { readonly bytes: Buffer }) | undefined

  constructor(options: VerifyOptions) {
    this.#options = options
  }

  /** What comes is of this file. */
  begin(file: string): void {
    this.#files.push(file)
    this.#file = file
    this.#line = 0
  }

  /** @param bytes without the line end, which `ended` says was there */
  line(bytes: Buffer, ended: boolean): void {
    this.#line += 1
    const seal = sealOf(bytes)
    if (seal !== undefined) {
      this.#records += 1
      this.#sealed(bytes, seal)
    } else if (this.#trails.length === 0 && ended && isObject(bytes)) {
      this.#unsealed ??= { at: this.#here(), count: 0 }
      this.#unsealed.count += 1
    } else {
      this.#dropStray()
      this.#stray = { ...this.#here(), bytes: Buffer.from(bytes), ended }
    }
  }

  end(): Report {
    this.#lastStray()
    this.#lastLine()
    this.#checkExpected()
    if (this.#trails.length === 0 && this.#unsealed !== undefined)
      this.#find({ kind: 'no_record', ...this.#unsealed.at, message: 'no line has a seal, so nothing can be verified' })
    return {
      ok: this.#findings.length === 0,
      files: this.#files,
      records: this.#records,
      trails: this.#trails.map((trail) => trail.report()),
      signers: [...this.#signers.values()].map(({ by, count }): SignerReport => ({ ...by, checkpoints: count })),
      findings: this.#findings,
      more: this.#more,
      notes: this.#notes,
    }
  }

  #sealed(bytes: Buffer, seal: Seal): void {
    const hash = hashOf(bytes)
    if (hash === this.#options.expectHead) this.#headSeen = true
    const damaged = this.#stray === undefined ? undefined : this.#explainStray(bytes)
    const trail = this.#trailBefore(seal)
    if (trail === undefined) {
      this.#elsewhere(seal, hash, damaged)
    } else {
      const seq = trail.seq + 1
      if (seal.seq !== seq) {
        this.#find({
          kind: 'altered',
          ...this.#here(),
          seq,
          expected: `seq ${seq}`,
          found: `seq ${seal.seq}`,
          message: `record ${seq} says that it is number ${seal.seq}`,
        })
      }
      if (damaged !== undefined)
        this.#find({ kind: 'no_record', ...placeOf(damaged), message: 'a line that is no record was added' })
      trail.advance(hash, seq, this.#here(), seal.seq !== seq)
      this.#current = trail
    }
    this.#last = { ...this.#here(), bytes }
    if (isCheckpoint(bytes)) this.#checkpoint(bytes, seal, hash)
  }

  /** The trail that this line goes on. */
  #trailBefore({ prev }: Seal): FollowedTrail | undefined {
    if (this.#current?.head === prev) return this.#current
    return this.#trails.find(({ head }) => head === prev)
  }

  /** A line that follows from none: the first of a trail, or one whose neighbours are not as they were. */
  #elsewhere(seal: Seal, hash: string, damaged: Stray | undefined): void {
    const known = this.#trails.find(({ id }) => id !== undefined && id === seal.trail)
    const begins = seal.trail !== undefined && seal.seq === 1 && seal.prev === hashOf(seal.trail)
    const trail = known ?? (begins ? undefined : this.#current)
    if (trail !== undefined) {
      this.#broken(trail, seal, hash, damaged)
      return
    }
    if (damaged !== undefined)
      this.#find({ kind: 'no_record', ...placeOf(damaged), message: 'a line that is no record' })
    if (!begins) this.#beginsInTheMiddle(seal)
    else if (this.#unsealed !== undefined && this.#trails.length === 0) this.#beginsBehindUnsealed(this.#unsealed)
    this.#current = new FollowedTrail(seal, hash, this.#here())
    this.#trails.push(this.#current)
  }

  #beginsInTheMiddle({ seq }: Seal): void {
    // What stands before a line that is not the first one should have a seal.
    if (this.#unsealed !== undefined) {
      this.#find({
        kind: 'altered',
        ...this.#unsealed.at,
        to: seq - 1,
        message: `${this.#unsealed.count} lines without a seal stand before record ${seq}`,
      })
    }
    if (this.#options.fromStart === true) {
      this.#find({
        kind: 'removed',
        ...this.#here(),
        seq: 1,
        to: seq - 1,
        message: `records before number ${seq} are missing`,
      })
      return
    }
    this.#note('middle', this.#here(), `the records begin with number ${seq}; what came before is not in these files`)
  }

  #beginsBehindUnsealed({ at, count }: { readonly at: Place; readonly count: number }): void {
    // Whoever asks for the first record is told of anything before it.
    if (this.#options.fromStart === true) {
      this.#find({ kind: 'no_record', ...at, message: `${count} lines without a seal stand before the first record` })
      return
    }
    this.#note('unsealed', at, `${count} lines of the time before records were sealed; nothing proves them`)
  }

  #broken(trail: FollowedTrail, { seq, prev }: Seal, hash: string, damaged: Stray | undefined): void {
    const here = this.#here()
    const expected = trail.seq + 1
    if (seq < expected || trail.branch === prev) {
      this.#outOfPlace(trail, seq, hash)
    } else {
      if (seq === expected && !trail.tainted) {
        this.#find({
          kind: 'altered',
          ...trail.at,
          seq: trail.seq,
          expected: prev,
          found: trail.head,
          message: `record ${trail.seq} is not the one that record ${seq} (${here.file} line ${here.line}) follows from; one of them was altered`,
        })
      } else if (seq === expected + 1 && damaged !== undefined) {
        this.#find({
          kind: 'altered',
          ...placeOf(damaged),
          seq: expected,
          message: `record ${expected} should be here; the line is no record any more`,
        })
        trail.advance(hash, seq, here, false)
        return
      } else if (seq > expected) {
        trail.missing.push({ from: expected, to: seq - 1, finding: this.#findings.length })
        this.#find({
          kind: 'removed',
          ...here,
          seq: expected,
          to: seq - 1,
          expected: `seq ${expected}`,
          found: `seq ${seq}`,
          message: this.#missingText(trail, expected, seq),
        })
      }
      trail.advance(hash, seq, here, false)
    }
    if (damaged !== undefined)
      this.#find({ kind: 'no_record', ...placeOf(damaged), message: 'a line that is no record' })
  }

  #missingText({ at }: FollowedTrail, from: number, next: number): string {
    const which = from === next - 1 ? `record ${from} is` : `records ${from} to ${next - 1} are`
    const whole = at.file === this.#file ? '' : '; a whole file may be missing'
    return `${which} missing between ${at.file} line ${at.line} and ${this.#file} line ${this.#line}${whole}`
  }

  #outOfPlace(trail: FollowedTrail, seq: number, hash: string): void {
    const here = this.#here()
    const gap = trail.missing.find(({ from, to }) => from <= seq && seq <= to)
    if (gap !== undefined) {
      const found: Finding = {
        kind: 'reordered',
        ...here,
        seq,
        expected: `record ${trail.seq + 1}`,
        message: `record ${seq} stands behind record ${trail.seq}`,
      }
      // It was taken for removed before it turned up.
      if (gap.from === gap.to && gap.finding < this.#findings.length) this.#findings[gap.finding] = found
      else this.#find(found)
      return
    }
    if (trail.isRecent(seq, hash)) {
      this.#find({ kind: 'duplicated', ...here, seq, message: `record ${seq} is there a second time` })
      return
    }
    trail.branch = hash
    this.#find({
      kind: 'conflict',
      ...here,
      seq,
      expected: `record ${trail.seq + 1}`,
      message: `another record ${seq} than the one before: two processes wrote, or it was put here`,
    })
  }

  /** @returns a stray line that nothing explains */
  #explainStray(next: Buffer): Stray | undefined {
    const stray = this.#stray
    this.#stray = undefined
    if (stray === undefined) return undefined
    if (namesTorn(next, stray)) {
      this.#note(
        'torn',
        placeOf(stray),
        `a record was cut off after ${stray.bytes.length} bytes when a process ended, as the next record says`,
      )
      return undefined
    }
    if (!stray.ended && next.length > stray.bytes.length && next.subarray(0, stray.bytes.length).equals(stray.bytes)) {
      this.#note('begun_anew', placeOf(stray), 'a record was cut off here and stands whole in the next file')
      return undefined
    }
    return stray
  }

  #dropStray(): void {
    if (this.#stray !== undefined)
      this.#find({ kind: 'no_record', ...placeOf(this.#stray), message: 'a line that is no record' })
    this.#stray = undefined
  }

  /** The very end may be torn, as a kill or a full disk leaves it. */
  #lastStray(): void {
    const stray = this.#stray
    if (stray === undefined) return
    const text = stray.bytes.toString('latin1')
    if (stray.ended || stray.file !== this.#file || stray.bytes[0] !== 0x7b || goesOnAfterSeal(text)) {
      this.#dropStray()
      return
    }
    this.#note(
      'torn',
      placeOf(stray),
      `the last line was cut off after ${stray.bytes.length} bytes; that record is lost`,
    )
  }

  /** Nothing follows from it, so that it has to speak for itself. */
  #lastLine(): void {
    if (this.#last === undefined || auditRecord.safeParse(parsed(this.#last.bytes)).success) return
    this.#find({ kind: 'no_record', ...placeOf(this.#last), message: 'the last line is not as records are written' })
  }

  #checkpoint(bytes: Buffer, seal: Seal, hash: string): void {
    try {
      const { payload, by } = checkCheckpoint(bytes, seal, this.#options)
      const key = `${by.spiffe_id ?? ''} ${by.key_thumbprint}`
      const signer = this.#signers.get(key) ?? { by, count: 0 }
      signer.count += 1
      this.#signers.set(key, signer)
      if (this.#current?.head === hash) this.#current.signed = { seq: seal.seq, time: payload.time }
    } catch (error) {
      const why = error instanceof Error ? firstSentence(error.message) : String(error)
      this.#find({
        kind: 'bad_checkpoint',
        ...this.#here(),
        seq: seal.seq,
        message: `checkpoint ${seal.seq} is not valid: ${why}`,
      })
    }
  }

  #checkExpected(): void {
    const { expectHead, expectSeq } = this.#options
    const last = Math.max(0, ...this.#trails.map(({ seq }) => seq))
    if (expectHead !== undefined && !this.#headSeen)
      this.#find({
        kind: 'truncated',
        ...this.#here(),
        seq: last,
        expected: expectHead,
        message: 'no record has the hash that was expected: the end was cut off, or the records are others',
      })
    if (expectSeq !== undefined && last < expectSeq)
      this.#find({
        kind: 'truncated',
        ...this.#here(),
        seq: last + 1,
        to: expectSeq,
        expected: `seq ${expectSeq}`,
        found: `seq ${last}`,
        message: `records ${last + 1} to ${expectSeq} are missing at the end`,
      })
  }

  #here(): Place {
    return { file: this.#file, line: this.#line }
  }

  #find(finding: Finding): void {
    if (this.#findings.length < mostFindings) this.#findings.push(finding)
    else this.#more += 1
  }

  #note(kind: Note['kind'], place: Place, message: string): void {
    this.#notes.push({ kind, ...place, message })
  }
}

const placeOf = ({ file, line }: Place): Place => ({ file, line })

const firstSentence = (text: string) => text.replace(/\s+/g, ' ').slice(0, 200)

/** In the first members, whose length is bounded. */
const isCheckpoint = (bytes: Buffer) => bytes.toString('latin1', 0, 160).includes('"kind":"checkpoint"')

function isObject(bytes: Buffer): boolean {
  const value = parsed(bytes)
  return typeof value === 'object' && value !== null
}

function namesTorn(line: Buffer, { bytes }: Stray): boolean {
  if (!line.toString('latin1', 0, 160).includes('"kind":"audit"')) return false
  const { audit } = (parsed(line) ?? {}) as { audit?: { event?: unknown; bytes?: unknown; hash?: unknown } }
  return audit?.event === 'torn' && audit.bytes === bytes.length && audit.hash === hashOf(bytes)
}

function parsed(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString('utf8'))
  } catch {
    return undefined
  }
}
