// The last line of a run of tests: how many passed, failed and were skipped, in words that scripts read; also kept where POSTERN_TEST_COUNTS says, for a sum over several runs.
import { appendFileSync } from 'node:fs'
import type { Reporter } from 'vitest/node'

export const closingLine: Reporter = {
  onTestRunEnd(modules) {
    const count = { passed: 0, failed: 0, skipped: 0, pending: 0 }
    for (const module of modules) {
      for (const test of module.children.allTests()) count[test.result().state] += 1
      // A file that cannot be read has no test to tell of it.
      count.failed += module.errors().length
    }
    const line = `${count.passed} passed, ${count.failed} failed, ${count.skipped + count.pending} skipped`
    console.log(`tests: ${line}`)
    const { POSTERN_TEST_COUNTS: file } = process.env
    if (file !== undefined) appendFileSync(file, `${line}\n`)
  },
}
