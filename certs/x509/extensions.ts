// What the extensions of a certificate say (RFC 5280 §4.2). Each reader throws DerError when the value is malformed.
import type { Certificate } from './certificate.ts'
import { DerError, DerReader, smallNumber } from './der-reader.ts'
import { contextConstructed, contextPrimitive, tags } from './der-tags.ts'
import { oids } from './oids.ts'

export interface BasicConstraints {
  readonly ca: boolean
  /** How many further authorities may follow; undefined: any number. */
  readonly pathLength: number | undefined
}

/** Without the extension a certificate is no authority's. */
export function basicConstraintsOf({ extensions }: Certificate): BasicConstraints {
  const extension = extensions.get(oids.basicConstraints)
  if (extension === undefined) return { ca: false, pathLength: undefined }
  const fields = DerReader.only(extension.value, tags.sequence)
  const ca = fields.tag === tags.boolean && fields.boolean()
  const pathLength = fields.done ? undefined : fields.smallInteger()
  fields.end()
  return { ca, pathLength }
}

export interface KeyUsage {
  readonly critical: boolean
  readonly digitalSignature: boolean
  readonly keyCertSign: boolean
  readonly cRLSign: boolean
}

export function keyUsageOf({ extensions }: Certificate): KeyUsage | undefined {
  const extension = extensions.get(oids.keyUsage)
  if (extension === undefined) return undefined
  const outer = new DerReader(extension.value)
  const bits = outer.bitString()[0] ?? 0
  outer.end()
  return {
    critical: extension.critical,
    digitalSignature: (bits & 0x80) !== 0,
    keyCertSign: (bits & 0x04) !== 0,
    cRLSign: (bits & 0x02) !== 0,
  }
}

/** Object identifiers of the purposes. */
export function extendedKeyUsageOf({ extensions }: Certificate): ReadonlySet<string> | undefined {
  const extension = extensions.get(oids.extendedKeyUsage)
  if (extension === undefined) return undefined
  const list = DerReader.only(extension.value, tags.sequence)
  const purposes = new Set<string>()
  while (!list.done) purposes.add(list.oid())
  return purposes
}

/** Kinds of GeneralName that are looked into, by their tag. */
export const nameKinds = {
  email: contextPrimitive(1),
  dns: contextPrimitive(2),
  directory: contextConstructed(4),
  uri: contextPrimitive(6),
  ip: contextPrimitive(7),
} as const

export interface GeneralName {
  readonly tag: number
  readonly content: Uint8Array
}

export interface AlternativeNames {
  readonly critical: boolean
  readonly names: readonly GeneralName[]
}

export function alternativeNamesOf({ extensions }: Certificate): AlternativeNames {
  const extension = extensions.get(oids.subjectAltName)
  if (extension === undefined) return { critical: false, names: [] }
  const list = DerReader.only(extension.value, tags.sequence)
  const names: GeneralName[] = []
  while (!list.done) names.push(generalName(list))
  return { critical: extension.critical, names }
}

/** Text of an e-mail, DNS or URI name. */
export function ascii({ content }: GeneralName): string {
  for (const byte of content) if (byte >= 0x80) throw new DerError('a name is not ASCII')
  return Buffer.from(content.buffer, content.byteOffset, content.length).toString('latin1')
}

export interface NameConstraints {
  readonly permitted: readonly GeneralName[]
  readonly excluded: readonly GeneralName[]
}

export function nameConstraintsOf({ extensions }: Certificate): NameConstraints | undefined {
  const extension = extensions.get(oids.nameConstraints)
  if (extension === undefined) return undefined
  const fields = DerReader.only(extension.value, tags.sequence)
  const permitted = fields.optional(contextConstructed(0))
  const excluded = fields.optional(contextConstructed(1))
  fields.end()
  return { permitted: subtrees(permitted?.content), excluded: subtrees(excluded?.content) }
}

function subtrees(content: Uint8Array | undefined): readonly GeneralName[] {
  if (content === undefined) return []
  const list = new DerReader(content)
  const bases: GeneralName[] = []
  while (!list.done) {
    const fields = list.sequence()
    bases.push(generalName(fields))
    // minimum is 0 and maximum absent, always (RFC 5280 §4.2.1.10).
    const minimum = fields.optional(contextPrimitive(0))
    if (minimum !== undefined && smallNumber(minimum.content) !== 0) throw new DerError('a subtree has a minimum')
    fields.end()
  }
  return bases
}

function generalName(list: DerReader): GeneralName {
  const { tag, content } = list.any()
  if ((tag & 0xc0) !== 0x80 || (tag & 0x1f) > 8) throw new DerError('a name is of no known kind')
  return { tag, content }
}
