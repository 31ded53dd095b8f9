// The images, built and started without an engine: npm run test:image. Needs root and minutes, so it is no part of the normal suite.
import { defineConfig } from 'vitest/config'
import { closingLine } from '../support/closing-line.ts'

export default defineConfig({
  test: {
    include: ['test/image/*.image.ts'],
    pool: 'forks',
    fileParallelism: false,
    execArgv: ['--disable-warning=ExperimentalWarning'],
    testTimeout: 60_000,
    hookTimeout: 600_000,
    reporters: ['default', closingLine],
  },
})
