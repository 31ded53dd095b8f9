// Prints the story: what happens, and for each claim whether it was found to be true.
import { styleText } from 'node:util'

type Style = Parameters<typeof styleText>[0]

export class Narrator {
  #checked = 0
  readonly #failed: string[] = []

  /** A heading: what the agent does now. */
  step(text: string): void {
    console.log(`\n${paint('bold', text)}`)
  }

  /** Something to know, not a claim. */
  tell(text: string): void {
    console.log(paint('dim', `  ${text}`))
  }

  /** What somebody enters in a shell; where a line would grow longer than 100 columns, it is broken before an option. */
  command(text: string): void {
    let line = '$'
    for (const part of text.split(/ (?=--)/)) {
      if (line.length + part.length > 94) {
        this.tell(`${line} \\`)
        line = '   '
      }
      line += ` ${part}`
    }
    this.tell(line)
  }

  /**
   * A claim, and whether what really happened bears it out.
   * @param found shown when it does not
   */
  check(claim: string, holds: boolean, found: unknown = undefined): void {
    this.#checked += 1
    console.log(`  ${holds ? paint('green', '✓') : paint('red', '✗')} ${claim}`)
    if (holds) return
    this.#failed.push(claim)
    if (found !== undefined) console.log(paint('red', `    found: ${JSON.stringify(found).slice(0, 2000)}`))
  }

  /** @returns whether every claim held */
  conclude(seconds: number): boolean {
    const count = `${this.#checked} checks in ${seconds.toFixed(1)} s`
    const failed = this.#failed.length
    console.log(failed === 0 ? paint('green', `\n${count}: all hold.`) : paint('red', `\n${count}: ${failed} failed.`))
    return failed === 0
  }
}

/** Colour on a terminal that wants it (NO_COLOR, FORCE_COLOR), plain text elsewhere. */
export function paint(style: Style, text: string): string {
  return styleText(style, text, { stream: process.stdout })
}
