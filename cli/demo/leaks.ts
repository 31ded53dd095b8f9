// Looks for secrets where none may be, in the forms that they usually travel in.

/** What a secret is called, and its value. */
export type Canaries = Readonly<Record<string, string>>

/** @returns the names of those that stand in the text, plainly or in Base64 or hexadecimal */
export function canariesIn(text: string, canaries: Canaries): string[] {
  const lower = text.toLowerCase()
  return Object.entries(canaries)
    .filter(([, value]) => formsOf(value).some((form) => text.includes(form)) || lower.includes(hex(value)))
    .map(([name]) => name)
}

/** Base64 at each of the three alignments, without the ends, which depend on what stands beside them. */
function formsOf(value: string): string[] {
  const aligned = [0, 1, 2].map((shift) => {
    const text = Buffer.from(' '.repeat(shift) + value).toString('base64')
    return text.slice(shift === 0 ? 0 : 4, -4)
  })
  return [
    value,
    encodeURIComponent(value),
    ...aligned,
    ...aligned.map((text) => text.replaceAll('+', '-').replaceAll('/', '_')),
  ]
}

function hex(value: string): string {
  return Buffer.from(value).toString('hex')
}
