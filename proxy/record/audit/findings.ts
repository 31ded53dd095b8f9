// What verification can say: findings, which mean that the records are not as they were written, and notes, which explain.

export interface Place {
  readonly file: string
  /** From 1. */
  readonly line: number
}

export interface Finding extends Place {
  readonly kind:
    | 'altered'
    | 'removed'
    | 'reordered'
    | 'duplicated'
    | 'conflict'
    | 'no_record'
    | 'bad_checkpoint'
    | 'truncated'
    | 'unsigned'
  /** Number of the record concerned, the first one where there are more. */
  readonly seq?: number | undefined
  /** The last one concerned. */
  readonly to?: number | undefined
  readonly expected?: string | undefined
  readonly found?: string | undefined
  readonly message: string
}

export interface Note extends Place {
  readonly kind: 'torn' | 'begun_anew' | 'middle' | 'unsealed'
  readonly message: string
}

export interface SignerReport {
  /** As the certificate, or without a bundle the payload, says. */
  readonly spiffe_id?: string | undefined
  readonly key_thumbprint: string
  /** `bundle`: led back to it; `claimed`: nobody asked; `ephemeral`: a key that proves nothing but that it is the same. */
  readonly trust: 'bundle' | 'claimed' | 'ephemeral'
  readonly checkpoints: number
}

export interface TrailReport {
  /** Absent where its first line is not there. */
  readonly trail?: string | undefined
  readonly first: number
  readonly last: number
  /** Hash of the last line. */
  readonly head: string
  /** The last line that a valid checkpoint covers, and when that was signed. */
  readonly signed?: { readonly seq: number; readonly time: string } | undefined
  /** Lines after that, which are only hashed. */
  readonly unsigned: number
}

export interface Report {
  readonly ok: boolean
  readonly files: readonly string[]
  readonly records: number
  readonly trails: readonly TrailReport[]
  readonly signers: readonly SignerReport[]
  readonly findings: readonly Finding[]
  /** Findings beyond those that are listed. */
  readonly more: number
  readonly notes: readonly Note[]
}
