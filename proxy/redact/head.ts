// Looks for secrets in status text, header fields and trailers.
import type { HeaderList } from '../exchange.ts'
import type { Echoes } from './echoes.ts'
import type { Needles } from './needles.ts'
import { Scanner } from './scanner.ts'

/** Header fields without what was found in them: the very same list when that is nothing, or when the destination is trusted. */
export function inspectFields(
  fields: HeaderList,
  part: 'header' | 'trailer',
  needles: Needles,
  echoes: Echoes,
): HeaderList {
  if (fields.length === 0 || isClean(fields.join('\n'), needles)) return fields
  const blanked = fields.map((text, at) => {
    const name = at % 2 === 0 ? text : (fields[at - 1] ?? '')
    return inspectText(text, `${part}:${at % 2 === 0 ? '(name)' : name.toLowerCase()}`, needles, echoes)
  })
  return blanked
}

/** One text without what was found in it. */
export function inspectText(text: string, where: string, needles: Needles, echoes: Echoes): string {
  if (text === '' || isClean(text, needles)) return text
  const scanner = new Scanner(needles)
  const parts = [scanner.push(Buffer.from(text, 'latin1')), scanner.finish()]
  echoes.add(where, scanner.count)
  return echoes.policy === 'trusted-echo' ? text : Buffer.concat(parts).toString('latin1')
}

/** Looked through at once, so it can serve again. */
const scratch = Buffer.alloc(8_192)

/** A line break stands in no form of a credential, so fields can be looked through together. */
function isClean(text: string, needles: Needles): boolean {
  const found: number[] = []
  const fits = text.length <= scratch.length
  needles.find(fits ? scratch.subarray(0, scratch.write(text, 'latin1')) : Buffer.from(text, 'latin1'), found)
  return found.length === 0
}
