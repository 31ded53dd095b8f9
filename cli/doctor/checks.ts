// All that doctor looks at, in the order in which it is told.
import { callChecks } from './call.ts'
import { captureChecks } from './capture.ts'
import type { Check } from './check.ts'
import { privilegeChecks } from './privileges.ts'
import { proxyChecks } from './proxy.ts'
import { runtimeChecks } from './runtimes.ts'
import { secretChecks } from './secrets.ts'
import { svidChecks } from './svid.ts'
import { trustChecks } from './trust.ts'

export const checks: readonly Check[] = [
  ...proxyChecks,
  ...svidChecks,
  ...captureChecks,
  ...privilegeChecks,
  ...trustChecks,
  ...runtimeChecks,
  ...secretChecks,
  ...callChecks,
]
