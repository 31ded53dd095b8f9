// What is put into a pod: the container that writes the rules, the proxy, and their volumes. Every default of the API
// server is written out, so that what comes back from it can be compared.
import type { Mode } from './mode.ts'
import type { Options } from './options.ts'
import type { Container, Mount, Volume } from './pod.ts'
import type { InjectorSettings } from './settings.ts'

export const names = {
  sidecar: 'postern',
  rules: 'postern-init',
  verify: 'postern-validate',
  trust: 'postern-trust',
  state: 'postern-state',
  config: 'postern-config',
  credentials: 'postern-credentials',
  token: 'postern-token',
  spiffe: 'postern-spiffe',
} as const

/** Containers that nobody else may call so. */
export const ourContainers: readonly string[] = [names.sidecar, names.rules, names.verify]
export const ourVolumes: readonly string[] = [
  ...[names.trust, names.state, names.config, names.credentials, names.token, names.spiffe],
]

export interface Parts {
  /** In the order in which they start, before all others. */
  readonly initContainers: readonly Container[]
  readonly volumes: readonly Volume[]
}

export const paths = {
  config: '/etc/postern',
  credentials: '/etc/postern-credentials',
  state: '/run/postern',
  token: '/var/run/secrets/postern.dev',
  spiffe: '/run/spiffe',
} as const

export function partsOf(options: Options, settings: InjectorSettings): Parts {
  const first = ruleContainer(options.mode, settings)
  return {
    initContainers: [...(first === undefined ? [] : [first]), sidecar(options, settings)],
    volumes: volumes(options, settings),
  }
}

const nobody = 65_534

/** Writing the rules takes NET_ADMIN and nothing else; with a CNI plugin it is only looked whether they are there. */
function ruleContainer(mode: Mode, settings: InjectorSettings): Container | undefined {
  if (mode === 'explicit') return undefined
  const { captureImage, pullPolicy, proxy, ports } = settings
  const common = {
    image: captureImage,
    imagePullPolicy: pullPolicy,
    resources: { requests: { cpu: '10m', memory: '64Mi' }, limits: { memory: '128Mi' } },
    terminationMessagePath: '/dev/termination-log',
    terminationMessagePolicy: 'FallbackToLogsOnError',
  }
  if (mode === 'cni') {
    // Not the proxy's user, whose connections are not redirected. Before the proxy runs, they are refused at once.
    const securityContext = { ...unprivileged, runAsUser: nobody, runAsGroup: nobody, runAsNonRoot: true }
    const args = ['capture', 'verify', '--attempts-only', '--as', String(nobody)]
    return { name: names.verify, args, ...common, securityContext }
  }
  const securityContext = {
    ...unprivileged,
    runAsUser: 0,
    runAsGroup: 0,
    runAsNonRoot: false,
    capabilities: { add: ['NET_ADMIN'], drop: ['ALL'] },
  }
  const towards = ['--port', String(ports.redirected), '--dns-port', String(ports.dns)]
  return {
    name: names.rules,
    args: ['capture', 'install', '--uid', String(proxy.uid), ...towards],
    ...common,
    securityContext,
  }
}

function sidecar({ resources }: Options, settings: InjectorSettings): Container {
  const { image, pullPolicy, proxy, ports, spiffe } = settings
  const probe = (path: string) => ({ httpGet: { path, port: ports.metrics, scheme: 'HTTP' }, successThreshold: 1 })
  return {
    name: names.sidecar,
    image,
    imagePullPolicy: pullPolicy,
    args: ['run', '--config', `${paths.config}/postern.yaml`],
    // Makes it a native sidecar: what follows starts when its startup probe has succeeded, and a Job ends without it.
    restartPolicy: 'Always',
    ...(spiffe === false
      ? {}
      : { env: [{ name: 'SPIFFE_ENDPOINT_SOCKET', value: `unix://${paths.spiffe}/${spiffe.socket}` }] }),
    ports: [{ name: 'postern-metrics', containerPort: ports.metrics, protocol: 'TCP' }],
    // Ready means among other things that the trust files are written.
    startupProbe: { ...probe('/readyz'), periodSeconds: 1, timeoutSeconds: 1, failureThreshold: 120 },
    readinessProbe: { ...probe('/readyz'), periodSeconds: 5, timeoutSeconds: 2, failureThreshold: 3 },
    livenessProbe: { ...probe('/livez'), periodSeconds: 10, timeoutSeconds: 5, failureThreshold: 3 },
    resources: {
      requests: { cpu: resources.cpuRequest, memory: resources.memoryRequest },
      limits: {
        ...(resources.cpuLimit === undefined ? {} : { cpu: resources.cpuLimit }),
        memory: resources.memoryLimit,
      },
    },
    securityContext: {
      ...unprivileged,
      runAsUser: proxy.uid,
      runAsGroup: proxy.gid,
      runAsNonRoot: true,
    },
    volumeMounts: [
      { name: names.config, mountPath: paths.config, readOnly: true },
      { name: names.credentials, mountPath: paths.credentials, readOnly: true },
      { name: names.trust, mountPath: settings.trustDirectory },
      { name: names.state, mountPath: paths.state },
      { name: names.token, mountPath: paths.token, readOnly: true },
      ...(spiffe === false ? [] : [{ name: names.spiffe, mountPath: paths.spiffe, readOnly: true }]),
    ],
    terminationMessagePath: '/dev/termination-log',
    terminationMessagePolicy: 'FallbackToLogsOnError',
  }
}

/** Pod Security asks for all of it at its level `restricted`. */
const unprivileged = {
  privileged: false,
  allowPrivilegeEscalation: false,
  readOnlyRootFilesystem: true,
  capabilities: { drop: ['ALL'] },
  seccompProfile: { type: 'RuntimeDefault' },
}

/** What the API server writes where nothing is said. The volumes are for the sidecar alone, and the sidecar is not root. */
const defaultMode = 0o644

function volumes({ policy }: Options, { credentials, spiffe, token }: InjectorSettings): Volume[] {
  return [
    { name: names.trust, emptyDir: { medium: 'Memory', sizeLimit: '16Mi' } },
    { name: names.state, emptyDir: { medium: 'Memory', sizeLimit: '64Mi' } },
    policy.kind === 'secret'
      ? { name: names.config, secret: { secretName: policy.name, defaultMode } }
      : { name: names.config, configMap: { name: policy.name, defaultMode } },
    { name: names.credentials, secret: { secretName: credentials, defaultMode, optional: true } },
    {
      name: names.token,
      projected: {
        defaultMode,
        sources: [
          {
            serviceAccountToken: {
              path: 'token',
              audience: token.audience,
              expirationSeconds: token.expirationSeconds,
            },
          },
        ],
      },
    },
    ...(spiffe === false ? [] : [{ name: names.spiffe, csi: { driver: spiffe.driver, readOnly: true } }]),
  ]
}

/** The mount by which every other container reads whom to trust. */
export function trustMount({ trustDirectory }: InjectorSettings): Mount {
  return { name: names.trust, mountPath: trustDirectory, readOnly: true }
}
