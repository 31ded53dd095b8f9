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
  cpuRequest: quantity.default('50m').describe('What the sidecar is sure to have.'),
  cpuLimit: quantity.optional().describe('None unless told: a proxy that is throttled holds every agent up.'),
  // 103 MB at rest with a hundred rules, 210 with a thousand connections, 230 under as much load as a core carries.
  memoryRequest: quantity.default('128Mi').describe('What the sidecar is sure to have.'),
  memoryLimit: quantity.default('384Mi').describe('The sidecar is killed above it.'),
})

const address = z
  .string()
  .regex(/^(\d{1,3}(\.\d{1,3}){3}|\[[0-9a-fA-F:.]+\]):\d{1,5}$/, 'an address such as 0.0.0.0:8443')

/** Milliseconds that the last third of a certificate's life must have besides `settle`: replicas look every five seconds. */
const slack = 15_000

export const selfSigned = z
  .strictObject({
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
    lifetime: duration.prefault('7d').describe('Of a certificate; a new one is made after two thirds of it.'),
    settle: duration.prefault('60s').describe('Between announcing a new authority and showing its certificate.'),
    overlap: duration.prefault('10m').describe('How long the authority of before stays in caBundle.'),
  })
  .refine(({ lifetime, settle }) => lifetime >= 3 * (settle + slack), {
    message:
      'too short: the next certificate would be shown after this one has expired; three times settle and 15 s at least',
    path: ['lifetime'],
  })

const givenFiles = z.strictObject({
  source: z.literal('files'),
  certificate: z.string().min(1).describe('Certificate chain in PEM, such as tls.crt of cert-manager. It is watched.'),
  key: z.string().min(1),
})

export const injectorSettingsSchema = z.strictObject({
  namespace: objectName.default('postern').describe('Namespace of the injector itself; never injected.'),
  excludedNamespaces: z
    .array(objectName)
    .default(['kube-system', 'kube-public', 'kube-node-lease'])
    .describe('Never injected either: what runs the cluster must not wait for the injector.'),
  mode: z.enum(modes).default('transparent').describe('Where a namespace does not say it.'),
  harden: z
    .enum(['refuse', 'rewrite'])
    .default('refuse')
    .describe('What happens to a pod that could get round the proxy, where its namespace does not say it.'),
  image: z.string().min(1).default('postern').describe('Of the sidecar; better with a digest.'),
  captureImage: z.string().min(1).default('postern-capture').describe('Of the init container: the one with nft in it.'),
  pullPolicy: z.enum(['Always', 'IfNotPresent', 'Never']).default('IfNotPresent').describe('Of both.'),
  proxy: z
    .strictObject({
      uid: id.default(14_001).describe('User of the sidecar; nothing else in a pod may have it.'),
      gid: id.default(14_001).describe('Group of the sidecar.'),
    })
    .prefault({})
    .describe('Whom the sidecar runs as.'),
  ports: z
    .strictObject({
      explicit: port.default(15_901).describe('What the proxy variables name.'),
      redirected: port.default(15_906).describe('Where connections are turned round to: the first of eight.'),
      dns: port.default(15_953).describe('Where queries are turned round to.'),
      metrics: port.default(15_920).describe('What the kubelet asks.'),
    })
    .prefault({})
    .describe('Those that the configuration of the proxy opens. Not the ones of istio, which may be in the same pod.'),
  trustDirectory: absolutePath.default('/run/postern-trust').describe('`trust.directory` of the proxy.'),
  policy: policyReference
    .prefault('postern')
    .describe('ConfigMap, or Secret as `secret/NAME`, in the namespace of the pod, with postern.yaml in it.'),
  credentials: objectName
    .default('postern-credentials')
    .describe('Secret in the namespace of the pod that the sidecar alone may see; it need not be there.'),
  spiffe: z
    .union([
      z.literal(false),
      z.strictObject({
        driver: z.string().min(1).default('csi.spiffe.io').describe('Name of the driver.'),
        socket: z.string().min(1).default('spire-agent.sock').describe('File of the socket in its volume.'),
      }),
    ])
    .prefault({})
    .describe('CSI driver that mounts the socket of the Workload API; `false` where there is none.'),
  token: z
    .strictObject({
      audience: z.string().min(1).default('postern').describe('Whom it is for.'),
      expirationSeconds: z.int().min(600).default(3_600).describe('The kubelet replaces it well before.'),
    })
    .prefault({})
    .describe('Service-account token for the sidecar.'),
  resources: resources.prefault({}).describe('Of the sidecar, where a pod does not say it.'),
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
