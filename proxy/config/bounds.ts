// What a configuration may be. A row of docs/limits.md each.
import { maxDepth, maxValues } from './document.ts'
import { maxBytes } from './load.ts'

export const configurationBounds = [
  {
    limit: 'File',
    value: maxBytes,
    unit: 'bytes',
    does: 'reject',
    how: 'the configuration is refused',
    metric: 'postern_config_reload_failure_total',
    test: ['test/proxy/config/load.test.ts', 'is larger than 1048576 bytes'],
  },
  {
    limit: 'Values in it, aliases counted as often as they are used',
    value: maxValues,
    unit: 'count',
    does: 'reject',
    how: 'the configuration is refused',
    metric: 'postern_config_reload_failure_total',
    test: ['test/proxy/config/load.test.ts', 'that aliases would blow up is refused before it is'],
  },
  {
    limit: 'Depth of nesting',
    value: maxDepth,
    unit: 'count',
    does: 'reject',
    how: 'the configuration is refused',
    metric: 'postern_config_reload_failure_total',
    test: ['test/proxy/config/load.test.ts', 'that is nested without end is refused'],
  },
] as const
