// Distinguished names in the form in which they are compared: case and spaces folded, one string type (RFC 5280 §7.1).
import { DerReader } from './der-reader.ts'
import { tags } from './der-tags.ts'
import { element, oid, sequence, set } from './der-writer.ts'

/**
 * The relative names of a Name, each as canonical DER. It is the form that OpenSSL hashes for its directories of roots.
 * @param name DER of the Name
 * @throws DerError
 */
export function canonicalName(name: Uint8Array): readonly Uint8Array[] {
  const list = DerReader.only(name, tags.sequence)
  const relativeNames: Uint8Array[] = []
  while (!list.done) {
    const attributes = new DerReader(list.next(tags.set).content)
    const folded: Uint8Array[] = []
    while (!attributes.done) {
      const fields = attributes.sequence()
      const type = oid(fields.oid())
      const { tag, content, whole } = fields.any()
      fields.end()
      const text = decode(tag, content)
      folded.push(sequence(type, text === undefined ? whole : element(tags.utf8String, Buffer.from(fold(text)))))
    }
    relativeNames.push(set(...folded.sort(Buffer.compare)))
  }
  return relativeNames
}

/** Letters beyond ASCII keep their case, as with OpenSSL. */
function fold(text: string): string {
  return text
    .replace(/[ \t\n\v\f\r]+/g, ' ')
    .replace(/^ | $/g, '')
    .replace(/[A-Z]+/g, (letters) => letters.toLowerCase())
}

const teletexString = 0x14
const visibleString = 0x1a
const universalString = 0x1c
const bmpString = 0x1e

/** @returns undefined when the value is not one of the string types */
function decode(tag: number, content: Uint8Array): string | undefined {
  const bytes = Buffer.from(content)
  switch (tag) {
    case tags.utf8String:
      return bytes.toString('utf8')
    case tags.printableString:
    case tags.ia5String:
    case teletexString:
    case visibleString:
      return bytes.toString('latin1')
    case bmpString:
      return bytes.length % 2 === 0 ? bytes.swap16().toString('utf16le') : undefined
    case universalString:
      return universal(bytes)
    default:
      return undefined
  }
}

function universal(bytes: Buffer): string | undefined {
  if (bytes.length % 4 !== 0) return undefined
  let text = ''
  for (let at = 0; at < bytes.length; at += 4) {
    const point = bytes.readUInt32BE(at)
    if (point > 0x10_ffff) return undefined
    text += String.fromCodePoint(point)
  }
  return text
}
