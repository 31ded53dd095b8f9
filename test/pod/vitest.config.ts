// A pod simulated with real namespaces, users and rules: npm run test:pod. Needs root, so it is no part of the normal suite.
import { defineConfig } from 'vitest/config'
import { closingLine } from '../support/closing-line.ts'

export default defineConfig({
  test: {
    include: ['test/pod/*.pod.ts'],
    pool: 'forks',
    fileParallelism: false,
    execArgv: ['--disable-warning=ExperimentalWarning'],
    testTimeout: 60_000,
    hookTimeout: 60_000,
    reporters: ['default', closingLine],
  },
})
