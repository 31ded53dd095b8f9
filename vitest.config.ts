import { defineConfig } from 'vitest/config'
import { closingLine } from './test/support/closing-line.ts'

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    // Each file gets a process of its own: tests open sockets, watch files and set signal handlers.
    pool: 'forks',
    // Many tests wait for processes and sockets; fewer files at a time leave a core idle on small machines.
    maxWorkers: 3,
    execArgv: ['--disable-warning=ExperimentalWarning'],
    testTimeout: 20_000,
    hookTimeout: 20_000,
    reporters: ['default', closingLine],
  },
})
