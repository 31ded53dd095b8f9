// The settings of the injector: what it puts into pods, and how it is served.
import * as z from 'zod'
import { duration } from '../../proxy/config/scalars.ts'
import { modes } from './mode.ts'
import { policyReference } from './policy-reference.ts'

const id = z.int().min(1).max(4_294_967_294)
const port = z.int().min(1).max(65_535)
/** A name of Kubernetes (RFC 1123 subdomain). */
const objectName = z.string().regex(/^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$/, 'a name of Kubernetes')
const absolutePath = z.string().regex(/^(\/[\w.-]+)+$/, 'an absolute path')

export const quantity = z
  .string()
  .regex(/^\d{1,9}(\.\d{1,3})?(m|k|M|G|Ki|Mi|Gi)?$/, 'a quantity such as 50m, 0.5 or 128Mi')

const resources = z.strictObject({
  cpuRequest: quantity.default('50m'),
  cpuLimit: quantity.optional().describe('None unless told: a proxy that is throttled holds every agent up.'),
  memoryRequest: quantity.default('96Mi'),
  memoryLimit: quantity.default('256Mi'),
})

const address = z
  .string()
  .regex(/^(\d{1,3}(\.\d{1,3}){3}|\[[0-9a-fA-F:.]+\]):\d{1,5}$/, 'an address such as 0.0.0.0:8443')

const selfSigned = z.strictObject({
  source: z.literal('self-signed'),
  service: objectName.default('postern-injector').describe('Service by which the API server calls.'),
  secret: objectName
    .default('postern-injector-tls')
    .describe('Secret in which the replicas share certificate and key.'),
  lease: objectName.default('postern-injector').describe('Lease by which they agree who rotates.'),
  configurations: z
    .strictObject({
      mutating: objectName.default('postern-injector'),
      validating: objectName.default('postern-injector'),
    })
    .prefault({})
    .describe('Webhook configurations whose caBundle is kept.'),
  lifetime: duration.default(7 * 86_400_000).describe('Of a certificate; a new one is made after two thirds of it.'),
  settle: duration.default(60_000).describe('Between announcing a new authority and showing its certificate.'),
  overlap: duration.default(600_000).describe('How long the authority of before stays in caBundle.'),
})

const givenFiles = z.strictObject({
  source: z.literal('files'),
  certificate: z.string().min(1).describe('Certificate chain in PEM, such as tls.crt of cert-manager. It is watched.'),
  key: z.string().min(1),
})

export const injectorSettingsSchema = z.strictObject({
  namespace: objectName.default('postern').describe('Namespace of the injector itself; never injected.'),
  excludedNamespaces: z.array(objectName).default(['kube-system', 'kube-public', 'kube-node-lease']),
  mode: z.enum(modes).default('transparent').describe('Where a namespace does not say it.'),
  harden: z
    .enum(['refuse', 'rewrite'])
    .default('refuse')
    .describe('What happens to a pod that could get round the proxy, where its namespace does not say it.'),
  image: z.string().min(1).default('postern').describe('Of the sidecar; better with a digest.'),
  captureImage: z.string().min(1).default('postern-capture').describe('Of the init container: the one with nft in it.'),
  pullPolicy: z.enum(['Always', 'IfNotPresent', 'Never']).default('IfNotPresent'),
  proxy: z.strictObject({ uid: id.default(14_001), gid: id.default(14_001) }).prefault({}),
  ports: z
    .strictObject({
      explicit: port.default(15_901),
      redirected: port.default(15_906),
      dns: port.default(15_953),
      metrics: port.default(15_920),
    })
    .prefault({})
    .describe('Those that the configuration of the proxy opens. Not the ones of istio, which may be in the same pod.'),
  trustDirectory: absolutePath.default('/run/postern-trust').describe('`trust.directory` of the proxy.'),
  policy: policyReference
    .default({ kind: 'configmap', name: 'postern' })
    .describe('ConfigMap, or Secret as `secret/NAME`, in the namespace of the pod, with postern.yaml in it.'),
  credentials: objectName
    .default('postern-credentials')
    .describe('Secret in the namespace of the pod that the sidecar alone may see; it need not be there.'),
  spiffe: z
    .union([
      z.literal(false),
      z.strictObject({
        driver: z.string().min(1).default('csi.spiffe.io'),
        socket: z.string().min(1).default('spire-agent.sock'),
      }),
    ])
    .prefault({})
    .describe('CSI driver that mounts the socket of the Workload API; `false` where there is none.'),
  token: z
    .strictObject({
      audience: z.string().min(1).default('postern'),
      expirationSeconds: z.int().min(600).default(3_600),
    })
    .prefault({})
    .describe('Service-account token for the sidecar.'),
  resources: resources.prefault({}),
  noProxy: z
    .array(z.string().regex(/^[^\s,]+$/))
    .default(['localhost', '127.0.0.1'])
    .describe('Explicit mode: hosts that agents call directly.'),
  requireRunAsUser: z
    .boolean()
    .default(false)
    .describe('Refuse containers that leave the user to their image, which could name the one of the proxy.'),
  exempt: z
    .array(z.strictObject({ name: objectName, image: z.string().min(1) }))
    .default([])
    .describe(
      'Containers that other injectors add and that may keep their privileges: name, and how the image begins. They are trusted with all that they can do. Empty means none.',
    ),
  listen: address.default('0.0.0.0:8443'),
  metrics: address.default('0.0.0.0:8080').describe('/livez, /readyz, /metrics.'),
  certificate: z
    .discriminatedUnion('source', [selfSigned, givenFiles])
    .prefault({ source: 'self-signed' })
    .describe('Self-signed and rotated, or files that something else keeps current.'),
})

export type InjectorSettings = z.output<typeof injectorSettingsSchema>
export type SelfSignedSettings = z.output<typeof selfSigned>
