// What of a pod the injector reads. Whatever else is in it passes through untouched.
import * as z from 'zod'
import { isObject } from './equal.ts'

const capabilities = z.looseObject({ add: z.array(z.string()).nullish(), drop: z.array(z.string()).nullish() })

const containerSecurity = z.looseObject({
  privileged: z.boolean().nullish(),
  allowPrivilegeEscalation: z.boolean().nullish(),
  runAsUser: z.number().nullish(),
  runAsGroup: z.number().nullish(),
  capabilities: capabilities.nullish(),
  procMount: z.string().nullish(),
  windowsOptions: z.unknown().optional(),
})

const podSecurity = z.looseObject({
  runAsUser: z.number().nullish(),
  runAsGroup: z.number().nullish(),
  fsGroup: z.number().nullish(),
  supplementalGroups: z.array(z.number()).nullish(),
  windowsOptions: z.unknown().optional(),
})

const named = z.looseObject({ name: z.string().nullish() })

const variable = z.looseObject({
  name: z.string(),
  value: z.string().nullish(),
  valueFrom: z
    .looseObject({
      secretKeyRef: named.nullish(),
      fileKeyRef: z.looseObject({ volumeName: z.string().nullish() }).nullish(),
    })
    .nullish(),
})

const mount = z.looseObject({ name: z.string(), mountPath: z.string(), readOnly: z.boolean().nullish() })

const container = z.looseObject({
  name: z.string(),
  image: z.string().nullish(),
  restartPolicy: z.string().nullish(),
  /** Of an ephemeral container: whose processes it sees. */
  targetContainerName: z.string().nullish(),
  env: z.array(variable).nullish(),
  envFrom: z.array(z.looseObject({ secretRef: named.nullish() })).nullish(),
  ports: z.array(z.looseObject({ containerPort: z.number() })).nullish(),
  volumeMounts: z.array(mount).nullish(),
  securityContext: containerSecurity.nullish(),
})

const volume = z.looseObject({
  name: z.string(),
  hostPath: z.looseObject({ path: z.string() }).nullish(),
  secret: z.looseObject({ secretName: z.string().nullish() }).nullish(),
  projected: z.looseObject({ sources: z.array(z.looseObject({ secret: named.nullish() })).nullish() }).nullish(),
})

const texts = z.record(z.string(), z.string()).nullish()

const podSchema = z.looseObject({
  metadata: z.looseObject({ labels: texts, annotations: texts }),
  spec: z.looseObject({
    hostNetwork: z.boolean().nullish(),
    hostPID: z.boolean().nullish(),
    os: z.looseObject({ name: z.string() }).nullish(),
    nodeSelector: texts,
    securityContext: podSecurity.nullish(),
    volumes: z.array(volume).nullish(),
    initContainers: z.array(container).nullish(),
    containers: z.array(container),
    ephemeralContainers: z.array(container).nullish(),
  }),
})

export type Pod = z.output<typeof podSchema>
export type PodSpec = Pod['spec']
export type Container = z.output<typeof container>
export type Volume = z.output<typeof volume>
export type Variable = z.output<typeof variable>
export type Mount = z.output<typeof mount>

export type ReadPod =
  | { readonly pod: Pod; readonly problem?: undefined }
  /** `at` as `spec.containers.0.name`; empty for the whole. */
  | { readonly problem: { readonly at: string; readonly message: string } }

/** The very object, so that its members stay in their order; with metadata, which a template may not have. */
export function readPod(raw: unknown): ReadPod {
  const given = isObject(raw) && raw.metadata == null ? { ...raw, metadata: {} } : raw
  if (isPod(given)) return { pod: given }
  const issue = podSchema.safeParse(given).error?.issues[0]
  return { problem: { at: issue?.path.map(String).join('.') ?? '', message: issue?.message ?? 'it cannot be read' } }
}

/** The schema takes everything as it is, and changes nothing. */
function isPod(given: unknown): given is Pod {
  return podSchema.safeParse(given).success
}
