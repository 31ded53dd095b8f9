// A real kube-apiserver and etcd: npm run test:apiserver. Their programs come from elsewhere, so it is no part of the normal suite.
import { defineConfig } from 'vitest/config'
import { closingLine } from '../support/closing-line.ts'

export default defineConfig({
  test: {
    include: ['test/apiserver/*.apiserver.ts'],
    pool: 'forks',
    fileParallelism: false,
    execArgv: ['--disable-warning=ExperimentalWarning'],
    testTimeout: 60_000,
    hookTimeout: 90_000,
    reporters: ['default', closingLine],
  },
})
