// The lines that differ between two texts, with a few around them.

interface Line {
  readonly sign: ' ' | '-' | '+'
  readonly text: string
}

/** Lines around a difference that are shown. */
const around = 2
/** The table has a cell for each pair of lines. */
const mostCells = 16_000_000

/** @returns lines that begin with a space, `-`, `+`, or `@@` between parts; empty when the texts are the same */
export function lineDiff(before: string, after: string): string[] {
  if (before === after) return []
  const lines = aligned(before.split('\n'), after.split('\n'))
  const shown: string[] = []
  let skipped = false
  for (const [index, { sign, text }] of lines.entries()) {
    const near = lines.slice(Math.max(0, index - around), index + around + 1)
    if (near.every((line) => line.sign === ' ')) {
      skipped = true
      continue
    }
    if (skipped && shown.length > 0) shown.push('@@')
    skipped = false
    shown.push(`${sign}${text}`)
  }
  return shown
}

/** By the longest common subsequence. */
function aligned(before: readonly string[], after: readonly string[]): Line[] {
  const width = after.length + 1
  if ((before.length + 1) * width > mostCells) {
    return [
      ...before.map((text) => ({ sign: '-', text }) as const),
      ...after.map((text) => ({ sign: '+', text }) as const),
    ]
  }
  const lengths = new Uint32Array((before.length + 1) * width)
  const at = (i: number, j: number) => lengths[i * width + j] ?? 0
  for (let i = before.length - 1; i >= 0; i--) {
    for (let j = after.length - 1; j >= 0; j--) {
      lengths[i * width + j] = before[i] === after[j] ? at(i + 1, j + 1) + 1 : Math.max(at(i + 1, j), at(i, j + 1))
    }
  }
  const lines: Line[] = []
  let [i, j] = [0, 0]
  while (i < before.length || j < after.length) {
    const [old, fresh] = [before[i], after[j]]
    if (old !== undefined && old === fresh) {
      lines.push({ sign: ' ', text: old })
      i += 1
      j += 1
    } else if (fresh !== undefined && (old === undefined || at(i, j + 1) > at(i + 1, j))) {
      lines.push({ sign: '+', text: fresh })
      j += 1
    } else {
      lines.push({ sign: '-', text: old ?? '' })
      i += 1
    }
  }
  return lines
}
