// Tries against programs of others that are built first: npm run interop:spire. They are no part of the normal suite.
import { defineConfig } from 'vitest/config'
import { closingLine } from '../support/closing-line.ts'

export default defineConfig({
  test: {
    include: ['test/interop/*.interop.ts'],
    globalSetup: ['test/interop/build.ts'],
    pool: 'forks',
    execArgv: ['--disable-warning=ExperimentalWarning'],
    testTimeout: 60_000,
    hookTimeout: 90_000,
    reporters: ['default', closingLine],
  },
})
