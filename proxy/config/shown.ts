// What of a configuration file may be shown in an error: whatever may be a secret is blanked, character for character.
import type { Place, Range } from './document.ts'
import { type Form, mapScalars } from './shape.ts'

const blanked = (text: string) => text.replace(/[^\n]/g, '•')

/** Blanks the values of unknown keys, and values that stand where only a reference to a secret belongs. */
export function blankSecrets(text: string, data: unknown, root: Place, form: Form): string {
  const hidden: Range[] = []
  mapScalars(data, form, (value, forms, path) => {
    const open = forms.length > 0 && forms.every((each) => each.format !== 'secret-reference')
    if (!open && !(typeof value === 'string' && /^\$\{(env|file):[^}]*\}$/.test(value)))
      hidden.push(rangeAt(root, path))
    return value
  })
  const parts: string[] = []
  let at = 0
  for (const [start, end] of hidden.sort((a, b) => a[0] - b[0])) {
    if (start < at) continue
    parts.push(text.slice(at, start), blanked(text.slice(start, end)))
    at = end
  }
  return parts.join('') + text.slice(at)
}

function rangeAt(root: Place, path: readonly string[]): Range {
  let place: Place | undefined = root
  for (const key of path) place = place?.entries.get(key)?.place
  return place?.range ?? [0, 0]
}

/** For text that is not YAML, where nobody knows what is a value: leaves only punctuation, and the key that a line begins with. */
export function blankValues(text: string): string {
  return text.replace(/^[ \t-]*[\w.-]{1,40}:(?=\s|$)|[^\s[\]{},:'"#&*|>-]/gm, (found) =>
    found.length > 1 ? found : '•',
  )
}
