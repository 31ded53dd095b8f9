import { describe, expect, it } from 'vitest'
import { mutate } from '../../../deploy/injector/mutate.ts'
import { injectorSettingsSchema } from '../../../deploy/injector/settings.ts'
import { namespace, type PodChanges, pod, settings, sound } from './pods.ts'

const { uid, gid } = settings.proxy
const security = (context: object): PodChanges => ({ container: { securityContext: { ...sound, ...context } } })
const hostPath = (path: string): PodChanges => ({ spec: { volumes: [{ name: 'v', hostPath: { path } }] } })

/** Whether rewriting mends it. */
const dangers: readonly (readonly [what: string, changes: PodChanges, reason: string, mendable: boolean])[] = [
  ['uses the network of the node', { spec: { hostNetwork: true } }, 'host_network', true],
  ['sees the processes of the node', { spec: { hostPID: true } }, 'host_pid', true],
  ['is privileged', security({ privileged: true }), 'privileged', true],
  ...[
    'NET_ADMIN',
    'NET_RAW',
    'SYS_ADMIN',
    'SYS_PTRACE',
    'SETUID',
    'SETGID',
    'BPF',
    'ALL',
    'DAC_READ_SEARCH',
    'cap_net_raw',
  ].map(
    (name) => [`adds ${name}`, security({ capabilities: { drop: ['ALL'], add: [name] } }), 'capability', true] as const,
  ),
  ['drops nothing of what runtimes give', security({ capabilities: {} }), 'capability', true],
  ['drops some of it', security({ capabilities: { drop: ['NET_RAW', 'CAP_SETUID'] } }), 'capability', true],
  ['says nothing of its security', { container: { securityContext: null } }, 'privilege_escalation', true],
  ['may escalate', security({ allowPrivilegeEscalation: true }), 'privilege_escalation', true],
  ['unmasks /proc', security({ procMount: 'Unmasked' }), 'proc_mount', true],
  ['runs as the proxy', security({ runAsUser: uid }), 'proxy_identity', false],
  ['runs in the group of the proxy', security({ runAsGroup: gid }), 'proxy_identity', false],
  ['all run as the proxy', { spec: { securityContext: { runAsUser: uid } } }, 'proxy_identity', false],
  ['all run in its group', { spec: { securityContext: { runAsGroup: gid } } }, 'proxy_identity', false],
  ['has the group of the proxy for files', { spec: { securityContext: { fsGroup: gid } } }, 'proxy_identity', false],
  [
    'has the group of the proxy besides',
    { spec: { securityContext: { supplementalGroups: [1, gid] } } },
    'proxy_identity',
    false,
  ],
  ['is for Windows', { spec: { os: { name: 'windows' } } }, 'windows', false],
  ['wants a Windows node', { spec: { nodeSelector: { 'kubernetes.io/os': 'windows' } } }, 'windows', false],
  ['has a container for Windows', security({ windowsOptions: { hostProcess: true } }), 'windows', false],
  ['mirrors a static pod', { metadata: { annotations: { 'kubernetes.io/config.mirror': 'x' } } }, 'static_pod', false],
  ['mounts the root of the node', hostPath('/'), 'host_path', false],
  ['mounts the socket of the runtime', hostPath('/var/run/containerd/containerd.sock'), 'host_path', false],
  ['mounts the folder above it', hostPath('/var//run/'), 'host_path', false],
  ['mounts /proc', hostPath('/proc/sys'), 'host_path', false],
  ['mounts what leads upwards', hostPath('/tmp/../proc'), 'host_path', false],
]

describe('a pod that could get round the proxy', () => {
  it.each(dangers)('is refused where it %s', (_, changes, reason) => {
    const outcome = mutate(pod(changes), namespace(), settings)
    expect(outcome).toMatchObject({
      kind: 'refused',
      refusals: expect.arrayContaining([
        { reason, where: expect.any(String), found: expect.any(String), mend: expect.stringMatching(/.\.$/) },
      ]),
    })
  })

  it.each(dangers)(
    'is refused in an init container, and by rewriting only what that mends: it %s',
    (_, changes, reason, mendable) => {
      const { container = {}, spec = {}, ...rest } = changes
      const inits = [{ name: 'first', image: 'x', securityContext: sound, ...container }]
      const outcome = mutate(
        pod({ ...rest, spec: { ...spec, initContainers: inits } }),
        namespace({ harden: 'rewrite' }),
        settings,
      )
      if (!mendable) return expect(outcome).toMatchObject({ kind: 'refused', refusals: [{ reason }] })
      if (outcome.kind !== 'injected') throw new Error(JSON.stringify(outcome))
      expect(outcome.warnings.join()).toContain('rewritten')
      expect(mutate(outcome.pod, namespace({ harden: 'refuse' }), settings)).toMatchObject({ kind: 'injected' })
      return undefined
    },
  )

  it('is let in with a harmless mount of the node, and with capabilities that are no way round', () => {
    const changes = {
      container: { securityContext: { ...sound, capabilities: { drop: ['ALL'], add: ['NET_BIND_SERVICE', 'CHOWN'] } } },
      spec: { volumes: [{ name: 'v', hostPath: { path: '/opt/models' } }] },
    }
    expect(mutate(pod(changes), namespace(), settings)).toMatchObject({ kind: 'injected' })
  })

  it('keeps harmless capabilities when it is rewritten', () => {
    const given = pod(
      security({ privileged: true, procMount: 'Unmasked', capabilities: { add: ['CHOWN', 'NET_ADMIN'] } }),
    )
    const outcome = mutate(given, namespace({ harden: 'rewrite' }), settings)
    expect(outcome).toMatchObject({ kind: 'injected' })
    expect(outcome.kind === 'injected' && outcome.pod.spec.containers[0]?.securityContext).toEqual({
      privileged: false,
      allowPrivilegeEscalation: false,
      capabilities: { add: ['CHOWN'], drop: ['NET_RAW', 'SETGID', 'SETUID'] },
    })
  })

  it('is told everything at once', () => {
    const outcome = mutate(pod({ spec: { hostNetwork: true, hostPID: true } }), namespace(), settings)
    expect(outcome.kind === 'refused' && outcome.refusals.map(({ reason }) => reason)).toEqual([
      'host_network',
      'host_pid',
    ])
  })

  it('must name its user where the settings ask for that', () => {
    const strict = injectorSettingsSchema.parse({ requireRunAsUser: true })
    expect(mutate(pod(), namespace(), strict)).toMatchObject({ refusals: [{ reason: 'uid_unknown' }] })
    const given = pod({ spec: { securityContext: { runAsUser: 1000 } } })
    expect(mutate(given, namespace(), strict)).toMatchObject({ kind: 'injected' })
  })

  it('keeps the privileges of a container of another injector that is exempt, by name and image', () => {
    const exempt = injectorSettingsSchema.parse({ exempt: [{ name: 'istio-init', image: 'docker.io/istio/proxyv2:' }] })
    const init = (image: string) => {
      const securityContext = { capabilities: { add: ['NET_ADMIN', 'NET_RAW'], drop: ['ALL'] } }
      return pod({ spec: { initContainers: [{ name: 'istio-init', image, securityContext }] } })
    }
    expect(mutate(init('docker.io/istio/proxyv2:1.27'), namespace(), exempt)).toMatchObject({ kind: 'injected' })
    expect(mutate(init('evil.example/istio/proxyv2:1.27'), namespace(), exempt)).toMatchObject({ kind: 'refused' })
    expect(mutate(init('docker.io/istio/proxyv2:1.27'), namespace(), settings)).toMatchObject({ kind: 'refused' })
  })
})
