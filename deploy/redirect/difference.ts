// What would change, line by line, as people know it from diff.

/** @returns lines that begin with `-`, `+` or a space; empty when nothing would change */
export function difference(before: string, after: string): readonly string[] {
  if (before === after) return []
  const [old, fresh] = [linesOf(before), linesOf(after)]
  const lengths = commonLengths(old, fresh)
  const shown: string[] = []
  let at = 0
  let to = 0
  while (at < old.length || to < fresh.length) {
    if (at < old.length && to < fresh.length && old[at] === fresh[to]) {
      shown.push(` ${old[at]}`)
      at += 1
      to += 1
    } else if (
      to >= fresh.length ||
      (at < old.length && lengthAt(lengths, at + 1, to) >= lengthAt(lengths, at, to + 1))
    ) {
      shown.push(`-${old[at]}`)
      at += 1
    } else {
      shown.push(`+${fresh[to]}`)
      to += 1
    }
  }
  return shown
}

const linesOf = (text: string): string[] => text.split('\n').filter((line) => line !== '')

/** Length of the longest common subsequence of what is left from each pair of places on. */
function commonLengths(old: readonly string[], fresh: readonly string[]): readonly (readonly number[])[] {
  const lengths = Array.from({ length: old.length + 1 }, () => new Array<number>(fresh.length + 1).fill(0))
  for (let at = old.length - 1; at >= 0; at -= 1) {
    const row = lengths[at] ?? []
    for (let to = fresh.length - 1; to >= 0; to -= 1) {
      row[to] =
        old[at] === fresh[to]
          ? lengthAt(lengths, at + 1, to + 1) + 1
          : Math.max(lengthAt(lengths, at + 1, to), lengthAt(lengths, at, to + 1))
    }
  }
  return lengths
}

const lengthAt = (lengths: readonly (readonly number[])[], at: number, to: number): number => lengths[at]?.[to] ?? 0
