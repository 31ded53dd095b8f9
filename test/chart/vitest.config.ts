// The chart, rendered and linted by a real Helm: npm run test:chart; with `-- --update` it writes the golden files anew. No part of the normal suite, since Helm has to be there, or to be fetched (37 MB).
import { defineConfig } from 'vitest/config'
import { closingLine } from '../support/closing-line.ts'

export default defineConfig({
  test: {
    include: ['test/chart/*.chart.ts'],
    pool: 'forks',
    fileParallelism: false,
    execArgv: ['--disable-warning=ExperimentalWarning'],
    testTimeout: 30_000,
    hookTimeout: 150_000,
    reporters: ['default', closingLine],
  },
})
