// What may be said to the chart. Its values.schema.json, its values.yaml and the table of its README are made from this.
import * as z from 'zod'
import { diagnosticLevels } from '../../proxy/record/diagnostics.ts'
import { injectorSettingsSchema, quantity, selfSigned } from '../injector/settings.ts'

const port = z.int().min(1024).max(65_535)
/** A label of DNS, which a Service is. */
const serviceName = z.string().regex(/^[a-z]([a-z0-9-]{0,53}[a-z0-9])?$/)
/** As Kubernetes writes them: their keys and values are not ours to judge. */
const texts = z.record(z.string(), z.string())
const foreign = z.looseObject({})
const goDuration = z.string().regex(/^\d{1,6}h$/)
/** A name, or nothing. */
const optionalName = z.string().regex(/^([a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?)?$/)

const image = (repository: string, what: string) =>
  z
    .strictObject({
      repository: z.string().min(1).default(repository).describe('Where it is, without tag and digest.'),
      tag: z
        .string()
        .regex(/^(\w[\w.-]{0,127})?$/)
        .default('')
        .describe('The version of the chart, where it is empty.'),
      digest: z
        .string()
        .regex(/^(sha256:[0-9a-f]{64})?$/)
        .default('')
        .describe('`sha256:…`; goes before the tag. What is pinned is what was looked at.'),
    })
    .prefault({})
    .describe(what)

const amounts = (memory: string, cpu: string | undefined) =>
  z
    .strictObject({
      cpu: (cpu === undefined ? quantity.optional() : quantity.default(cpu)).describe('Of a processor.'),
      memory: quantity.default(memory).describe('Of memory.'),
    })
    .prefault({})

const { lifetime, settle, overlap } = selfSigned.shape
const selfSignedValues = z.strictObject({ lifetime, settle, overlap }).prefault({}).describe('Mode `self-signed`.')

const certManager = z
  .strictObject({
    issuer: z
      .strictObject({
        name: optionalName
          .default('')
          .describe('Empty: the chart makes an authority of its own, which lives for ten years.'),
        kind: z.enum(['Issuer', 'ClusterIssuer']).default('Issuer').describe('Kind of the issuer.'),
        group: z.string().min(1).default('cert-manager.io').describe('API group of the issuer.'),
      })
      .prefault({})
      .describe('Who signs. It must tell its authority in `ca.crt`.'),
    duration: goDuration.default('2160h').describe('Of a certificate, in hours.'),
    renewBefore: goDuration.default('720h').describe('How long before its end the next one is made, in hours.'),
  })
  .prefault({})
  .describe('Mode `cert-manager`; its API must be there.')

const given = z
  .strictObject({
    secret: optionalName
      .default('')
      .describe(
        'Secret of type kubernetes.io/tls, for `NAME.NAMESPACE.svc`. A new content is taken up as soon as the kubelet shows it.',
      ),
    caBundle: z
      .string()
      .regex(/^(-----BEGIN CERTIFICATE-----[\s\S]*)?$/)
      .default('')
      .describe('The authority that signed it, in PEM.'),
  })
  .prefault({})
  .describe('Mode `given`; both are needed then.')

const certificate = z
  .strictObject({
    mode: z
      .enum(['self-signed', 'cert-manager', 'given'])
      .default('self-signed')
      .describe(
        '`self-signed`: the replicas make and rotate it, one of them, by a Lease. `cert-manager`: that does. `given`: you do.',
      ),
    selfSigned: selfSignedValues,
    certManager,
    given,
  })
  .prefault({})
  .meta({
    description: 'The certificate that the injector shows to the API server.',
    if: { properties: { mode: { const: 'given' } } },
    // biome-ignore lint/suspicious/noThenProperty: a keyword of JSON Schema
    then: {
      properties: {
        given: {
          properties: { secret: { minLength: 1 }, caBundle: { minLength: 1 } },
          required: ['secret', 'caBundle'],
        },
      },
    },
  })

const networkPolicy = z
  .strictObject({
    enabled: z.boolean().default(true).describe('Whether there is one.'),
    apiServer: z
      .strictObject({
        cidrs: z
          .array(z.string().regex(/^[0-9a-fA-F.:]+\/\d{1,3}$/))
          .min(1)
          .default(['0.0.0.0/0', '::/0'])
          .describe('Where the API server is; any address unless told.'),
        ports: z
          .array(z.int().min(1).max(65_535))
          .min(1)
          .default([443, 6443])
          .describe('By which port, before and after the address of its Service is translated.'),
      })
      .prefault({})
      .describe('Where the injector itself may go: nowhere else.'),
    metricsFrom: z
      .array(foreign)
      .default([])
      .describe('Peers of a NetworkPolicy that may read the metrics. Empty means nobody but the node.'),
  })
  .prefault({})
  .describe('What may reach the injector, and what it may reach.')

const serviceMonitor = z
  .strictObject({
    enabled: z
      .boolean()
      .default(false)
      .describe('Whether there is one; the API of the Prometheus operator must be there.'),
    interval: z
      .string()
      .regex(/^\d{1,5}(ms|s|m|h)$/)
      .default('30s')
      .describe('How often it is read.'),
    labels: texts.default({}).describe('By which a Prometheus finds it.'),
  })
  .prefault({})
  .describe('For the Prometheus operator.')

/** Settings that the chart makes itself, from its own values. */
const ofTheChart = {
  namespace: true,
  image: true,
  captureImage: true,
  pullPolicy: true,
  listen: true,
  metrics: true,
  certificate: true,
} as const

const chartValuesSchema = z.strictObject({
  name: serviceName.default('postern-injector').describe('Of all objects. One cluster has one injector.'),
  labels: texts.default({}).describe('More labels, on all objects.'),
  replicas: z.int().min(1).max(20).default(2).describe('While none answers, no pod is created in labelled namespaces.'),
  image: image('postern', 'The proxy: it runs the injector, and it is the sidecar.'),
  captureImage: image('postern-capture', 'The first init container of mode `transparent`: the proxy, with nft.'),
  pullPolicy: injectorSettingsSchema.shape.pullPolicy.describe('Of both images, everywhere.'),
  imagePullSecrets: z
    .array(z.strictObject({ name: z.string().min(1) }))
    .default([])
    .describe('For the injector; the service accounts of agents need their own.'),
  config: injectorSettingsSchema
    .omit(ofTheChart)
    .prefault({ excludedNamespaces: ['kube-system', 'kube-public', 'kube-node-lease'], spiffe: false })
    .describe('What is put into pods: the settings of the injector, which take effect as written.'),
  certificate,
  address: z
    .string()
    .regex(/^(\d{1,3}(\.\d{1,3}){3}|\[[0-9a-fA-F:.]+\])$/)
    .default('0.0.0.0')
    .describe('On which the injector listens; `"[::]"` where there is IPv6.'),
  ports: z
    .strictObject({
      webhook: port.default(8443).describe('What the API server asks, over TLS.'),
      metrics: port.default(8080).describe('`/livez`, `/readyz`, `/metrics`.'),
    })
    .prefault({})
    .describe('Ports of the injector.'),
  logLevel: z.enum(diagnosticLevels).default('info').describe('How much the injector tells.'),
  resources: z
    .strictObject({
      requests: amounts('96Mi', '50m').describe('What a replica is sure to have.'),
      limits: amounts('256Mi', undefined).describe(
        'No limit of CPU unless told: a webhook that is throttled holds pods up.',
      ),
    })
    .prefault({})
    .describe('Of a replica; those of the sidecars are in `config.resources`.'),
  podAnnotations: texts.default({}).describe('On the pods of the injector.'),
  nodeSelector: texts.default({}).describe('As in a pod.'),
  tolerations: z.array(foreign).default([]).describe('As in a pod.'),
  affinity: foreign
    .default({})
    .describe('As in a pod. Empty: replicas keep away from each other, by node and by zone.'),
  priorityClassName: optionalName.default('').describe('As in a pod.'),
  networkPolicy,
  serviceMonitor,
  global: foreign.optional().describe('What Helm itself puts in where this is part of another chart; not looked at.'),
})

/** JSON Schema of draft 7, which every Helm 3 and 4 reads. */
export function chartSchema(): unknown {
  return z.toJSONSchema(chartValuesSchema, { io: 'input', target: 'draft-7' })
}
