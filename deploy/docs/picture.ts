// Makes docs/demo.svg: what a terminal shows, as a picture. FORCE_COLOR=1 postern demo | node deploy/docs/picture.ts > docs/demo.svg
import { readFileSync } from 'node:fs'

interface Run {
  readonly text: string
  readonly style: string
}

const size = 13
/** Advance of a monospaced character, in parts of its size. */
const advance = 0.602
const leading = 18
const margin = 20
const bar = 34

/** SGR codes (ECMA-48 §8.3.117) that a style begins and ends with. */
const begins = new Map([
  [1, 'b'],
  [2, 'd'],
  [31, 'r'],
  [32, 'g'],
  [33, 'y'],
  [36, 'c'],
])
const ends = new Map([
  [22, ['b', 'd']],
  [39, ['r', 'g', 'y', 'c']],
])

const sheet = `
  text { font: ${size}px ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace; fill: #d4d7dd; white-space: pre }
  .b { font-weight: 700; fill: #fff } .d { fill: #8b919c }
  .r { fill: #f47067 } .g { fill: #6bc46d } .y { fill: #daaa3f } .c { fill: #56b6c2 }`

const escapes: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;' }
/** Runs of spaces are kept as no-break spaces, since not every viewer knows `white-space`. */
const escaped = (text: string) =>
  text.replace(/[&<>]/g, (sign) => escapes[sign] ?? sign).replace(/^ +| {2,}/g, (run) => '\u00a0'.repeat(run.length))

/** The lines of a terminal's output; a style goes on over the end of a line. */
function runsOf(output: string): Run[][] {
  const styles = new Set<string>()
  const lines: Run[][] = [[]]
  for (const [at, part] of output.split(new RegExp(`${String.fromCharCode(27)}\\[([0-9;]*)m`)).entries()) {
    if (at % 2 === 1) {
      for (const code of part.split(';').map(Number)) {
        if (code === 0) styles.clear()
        for (const style of ends.get(code) ?? []) styles.delete(style)
        const style = begins.get(code)
        if (style !== undefined) styles.add(style)
      }
      continue
    }
    for (const [row, text] of part.split('\n').entries()) {
      if (row > 0) lines.push([])
      if (text !== '') lines.at(-1)?.push({ text, style: [...styles].join(' ') })
    }
  }
  while (lines.at(-1)?.length === 0) lines.pop()
  return lines
}

/** @param output with ANSI colours */
function picture(title: string, output: string): string {
  const lines = runsOf(output)
  const columns = Math.max(...lines.map((runs) => runs.reduce((sum, { text }) => sum + [...text].length, 0)))
  const width = Math.ceil(columns * size * advance + 2 * margin)
  const height = bar + lines.length * leading + margin
  const rows = lines.flatMap((runs, row) => {
    if (runs.length === 0) return []
    const spans = runs.map(({ text, style }) =>
      style === '' ? escaped(text) : `<tspan class="${style}">${escaped(text)}</tspan>`,
    )
    return [`<text x="${margin}" y="${bar + (row + 1) * leading}">${spans.join('')}</text>`]
  })
  const lamps = ['#f47067', '#daaa3f', '#6bc46d'].map(
    (fill, at) => `<circle cx="${margin + at * 18}" cy="18" r="5.5" fill="${fill}"/>`,
  )
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" role="img" aria-label="${escaped(title)}">
<style>${sheet}
</style>
<rect width="100%" height="100%" rx="9" fill="#1b1e24"/>
${lamps.join('')}<text x="${width / 2}" y="22" text-anchor="middle" class="d">${escaped(title)}</text>
${rows.join('\n')}
</svg>
`
}

process.stdout.write(picture('npm run demo', readFileSync(0, 'utf8')))
