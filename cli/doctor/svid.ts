// Whether the proxy has an identity, and for how long.
import { type Check, type Finding, green, red, skipped } from './check.ts'
import { health } from './health.ts'
import { messageOf } from './proxy.ts'
import type { Scene } from './scene.ts'

const renew =
  'See that the source of the identity works (`postern identity` as the proxy’s user): the Workload API, or whatever renews the files.'

export const svidChecks: readonly Check[] = [
  {
    name: 'svid',
    proves: 'the proxy’s own SVID is valid, and for how long',
    patience: 8_000,
    run: async (scene, signal) => {
      if (scene.config !== undefined && scene.config.identity === undefined)
        return skipped('the configuration gives the proxy no identity (section identity)')
      const told = await health(scene.metrics, '/metrics', signal)
      if (told?.status === 200) return judgeExpiry(told.body, scene.now())
      const { host, port } = scene.metrics
      if (scene.side === 'agent' || scene.config === undefined)
        return skipped(`nobody answers at ${host}:${port} (admin.metrics), which says when it expires`)
      return await fromSource(scene)
    },
  },
]

/** @param metrics text of /metrics */
export function judgeExpiry(metrics: string, now: number): Finding {
  const seconds = /^postern_svid_expiry_timestamp_seconds (\S+)$/m.exec(metrics)?.[1]
  if (seconds === undefined) return skipped('the proxy has no identity of its own')
  return untilExpiry(Number(seconds) * 1_000, now)
}

/** The proxy is not asked but its source, as whoever runs this: the same user gets the same. */
async function fromSource({ config, environment, now }: Scene): Promise<Finding> {
  if (config?.identity === undefined) return skipped('the configuration gives the proxy no identity (section identity)')
  const { lookAtIdentity } = await import('../wire/identity.ts')
  const { identity: settings, trustDomain } = config
  try {
    const place = { settings, trustDomain, endpoint: environment.SPIFFE_ENDPOINT_SOCKET, config }
    const { contents } = await lookAtIdentity(place, [], now)
    return untilExpiry(contents.identities[0]?.svid.expiresAt ?? 0, now())
  } catch (error) {
    return red(`There is no SVID: ${messageOf(error)}.`, renew)
  }
}

function untilExpiry(expiry: number, now: number): Finding {
  if (!(expiry > now)) return red('The proxy has no SVID, or one that has expired.', renew)
  const minutes = Math.floor((expiry - now) / 60_000)
  return green(
    `Valid until ${new Date(expiry).toISOString()}, ${minutes < 1 ? 'less than a minute' : `${minutes} min`}.`,
  )
}
