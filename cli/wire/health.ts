// Opens the port of /livez, /readyz and /metrics, where one is configured.
import type { Config } from '../../proxy/config/schema.ts'
import { healthServer } from '../../proxy/record/health.ts'
import type { House } from './house.ts'

/** @returns its port */
export async function openHealth(
  { metrics: address, hosts }: Config['admin'],
  { readiness, metrics, closes }: House,
): Promise<number | undefined> {
  if (address === undefined) return undefined
  const health = await healthServer({ address, hosts, readiness, registry: metrics.registry })
  closes(() => health.close())
  return health.port
}
