// Keeps caBundle of the webhook configurations: whom the API server trusts to be us.
import * as z from 'zod'
import type { KubeClient } from '../kube-client.ts'
import type { SelfSignedSettings } from '../settings.ts'

const configurationSchema = z.looseObject({
  metadata: z.looseObject({ resourceVersion: z.string() }),
  webhooks: z
    .array(z.looseObject({ name: z.string(), clientConfig: z.looseObject({ caBundle: z.string().nullish() }) }))
    .nullish(),
})

const group = '/apis/admissionregistration.k8s.io/v1'

/**
 * @param authorities PEM
 * @returns whether anything had to be changed
 * @throws KubeError where a configuration is not there, or another changed it meanwhile
 */
export async function keepBundle(
  client: KubeClient,
  { mutating, validating }: SelfSignedSettings['configurations'],
  authorities: readonly string[],
  signal: AbortSignal,
): Promise<boolean> {
  const bundle = Buffer.from(authorities.join('')).toString('base64')
  const paths = [
    `${group}/mutatingwebhookconfigurations/${mutating}`,
    `${group}/validatingwebhookconfigurations/${validating}`,
  ]
  let changed = false
  for (const path of paths) {
    const { metadata, webhooks } = configurationSchema.parse(await client.get(path, signal))
    const outdated = [...(webhooks ?? []).entries()].filter(([, { clientConfig }]) => clientConfig.caBundle !== bundle)
    if (outdated.length === 0) continue
    await client.patch(
      path,
      [
        { op: 'test', path: '/metadata/resourceVersion', value: metadata.resourceVersion },
        ...outdated.map(([index]) => ({
          op: 'add' as const,
          path: `/webhooks/${index}/clientConfig/caBundle`,
          value: bundle,
        })),
      ],
      signal,
    )
    changed = true
  }
  return changed
}
