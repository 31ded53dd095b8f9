// Looks for secrets that must not be there, in the forms in which they travel.

/** What each is called, and its value. */
export type Canaries = Readonly<Record<string, string>>

/** @returns which of them stand in the text, and in which form: plain, Base64 (both alphabets, each alignment), hexadecimal, percent, JSON escapes */
export function canariesIn(text: string, canaries: Canaries): string[] {
  const found: string[] = []
  const lower = text.toLowerCase()
  for (const [name, value] of Object.entries(canaries)) {
    for (const [form, written] of formsOf(value)) {
      // Hexadecimal digits are written in either case.
      const there = /hex|percent|JSON/.test(form) ? lower.includes(written.toLowerCase()) : text.includes(written)
      if (there) found.push(`${name} (${form})`)
    }
  }
  return found
}

function formsOf(value: string): [string, string][] {
  const bytes = Buffer.from(value)
  const forms: [string, string][] = [
    ['plain', value],
    ['reversed', [...value].reverse().join('')],
    ['hex', bytes.toString('hex')],
    ['percent', [...bytes].map((byte) => `%${byte.toString(16).padStart(2, '0')}`).join('')],
    ['percent where needed', encodeURIComponent(value)],
    ['JSON escapes', [...bytes].map((byte) => `\\u00${byte.toString(16).padStart(2, '0')}`).join('')],
  ]
  for (const alignment of [0, 1, 2]) {
    // Without the characters that depend on what stands beside it.
    const whole = Buffer.concat([Buffer.alloc(alignment), bytes]).toString('base64')
    const inner = whole.slice(alignment === 0 ? 0 : 4, bytes.length % 3 === 0 && alignment === 0 ? undefined : -4)
    forms.push([`Base64 at ${alignment}`, inner])
    forms.push([`Base64url at ${alignment}`, inner.replaceAll('+', '-').replaceAll('/', '_')])
  }
  return forms
}
