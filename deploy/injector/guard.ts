// What would make capture a fiction: found in a pod, and taken away where that can be done without changing what it runs.
import type { Container, Pod, PodSpec, Volume } from './pod.ts'
import type { Refusal, RefusalReason } from './refusal.ts'
import type { InjectorSettings } from './settings.ts'

/** Rewriting mends those; the others are for whoever wrote the pod. */
const rewritable: ReadonlySet<RefusalReason> = new Set([
  'host_network',
  'host_pid',
  'privileged',
  'capability',
  'privilege_escalation',
  'proc_mount',
])

/** capabilities(7): they change rules, send past them, reach into other processes or files of the node, or
 * become another user. */
const dangerous = new Set([
  ...['ALL', 'NET_ADMIN', 'NET_RAW', 'SYS_ADMIN', 'SYS_PTRACE', 'SETUID', 'SETGID', 'BPF'],
  ...['SYS_MODULE', 'SYS_RAWIO', 'PERFMON', 'DAC_READ_SEARCH'],
])
/** Those of them that container runtimes give unasked. */
const unasked = ['NET_RAW', 'SETGID', 'SETUID'] as const

/** A mount of one of these, or of a folder above or below it, is a way to the node. */
const nodePaths = [
  ...['/run/containerd', '/run/crio', '/run/docker.sock', '/run/cri-dockerd.sock', '/run/k3s', '/run/netns'],
  ...['/var/lib/kubelet', '/var/lib/containerd', '/var/lib/docker', '/proc', '/sys', '/dev'],
  ...['/etc/cni', '/opt/cni', '/etc/kubernetes'],
]

export interface Guarded {
  readonly pod: Pod
  /** What could not be, or was not to be, rewritten. */
  readonly refusals: readonly Refusal[]
  /** What was rewritten. */
  readonly rewritten: readonly Refusal[]
}

/**
 * Looks at everything in the pod but what is ours.
 * @param isOurs by name: the containers that the injector makes itself
 */
export function guard(
  pod: Pod,
  isOurs: (container: Container) => boolean,
  settings: InjectorSettings,
  harden: 'refuse' | 'rewrite',
): Guarded {
  const { spec } = pod
  const kept = (container: Container) => isOurs(container) || isExempt(container, settings)
  const all = [...(spec.initContainers ?? []), ...spec.containers].filter((each) => !kept(each))
  const found = [...ofPod(pod, settings), ...all.flatMap((each) => ofContainer(each, spec, settings))]
  const { refusals, rewritten } = parted(found, harden)
  if (rewritten.length === 0) return { pod, refusals, rewritten }
  const hardened = (list: readonly Container[]) => list.map((each) => (kept(each) ? each : harder(each)))
  const { hostNetwork, hostPID, ...rest } = spec
  const mended: PodSpec = {
    ...rest,
    ...(hostNetwork === true ? {} : { hostNetwork }),
    ...(hostPID === true ? {} : { hostPID }),
    containers: hardened(spec.containers),
    ...(spec.initContainers == null ? {} : { initContainers: hardened(spec.initContainers) }),
  }
  return { pod: { ...pod, spec: mended }, refusals, rewritten }
}

/** The same for containers that are added to a pod that runs. */
export function guardEphemeral(
  container: Container,
  spec: PodSpec,
  settings: InjectorSettings,
  harden: 'refuse' | 'rewrite',
): { readonly container: Container; readonly refusals: readonly Refusal[]; readonly rewritten: readonly Refusal[] } {
  const { refusals, rewritten } = parted(ofContainer(container, spec, settings), harden)
  return { container: rewritten.length === 0 ? container : harder(container), refusals, rewritten }
}

function parted(found: readonly Refusal[], harden: 'refuse' | 'rewrite') {
  const mended = ({ reason }: Refusal) => harden === 'rewrite' && rewritable.has(reason)
  return { refusals: found.filter((each) => !mended(each)), rewritten: found.filter(mended) }
}

/** The name alone would be anybody's to take. */
function isExempt({ name, image }: Container, { exempt }: InjectorSettings): boolean {
  return exempt.some((each) => each.name === name && image?.startsWith(each.image) === true)
}

function ofPod({ metadata, spec }: Pod, { proxy }: InjectorSettings): Refusal[] {
  const found: Refusal[] = []
  const refuse = (reason: RefusalReason, what: string, mend: string, where = 'the pod') =>
    found.push({ reason, where, found: what, mend })
  const windows = spec.os?.name === 'windows' || spec.nodeSelector?.['kubernetes.io/os'] === 'windows'
  if (windows || spec.securityContext?.windowsOptions != null)
    refuse('windows', 'it is for Windows', 'Create it in a namespace that is not labelled.')
  if (metadata.annotations?.['kubernetes.io/config.mirror'] !== undefined)
    refuse('static_pod', 'it mirrors a static pod', 'Give the static pod another namespace in its file on the node.')
  if (spec.hostNetwork === true) refuse('host_network', 'hostNetwork is true', 'Set hostNetwork: false.')
  if (spec.hostPID === true) refuse('host_pid', 'hostPID is true', 'Set hostPID: false.')
  const { runAsUser, runAsGroup, fsGroup, supplementalGroups } = spec.securityContext ?? {}
  if (runAsUser === proxy.uid) refuse('proxy_identity', `runAsUser is ${proxy.uid}`, 'Use another user.')
  for (const [name, gid] of [['runAsGroup', runAsGroup] as const, ['fsGroup', fsGroup] as const]) {
    if (gid === proxy.gid) refuse('proxy_identity', `${name} is ${proxy.gid}`, 'Use another group.')
  }
  if (supplementalGroups?.includes(proxy.gid))
    refuse('proxy_identity', `supplementalGroups have ${proxy.gid}`, 'Use other groups.')
  for (const volume of spec.volumes ?? []) {
    if (isWayToNode(volume))
      refuse('host_path', `hostPath ${volume.hostPath?.path}`, 'Use another kind of volume.', `volume ${volume.name}`)
  }
  return found
}

function ofContainer(container: Container, spec: PodSpec, settings: InjectorSettings): Refusal[] {
  const found: Refusal[] = []
  const refuse = (reason: RefusalReason, what: string, mend: string) =>
    found.push({ reason, where: `container ${container.name}`, found: what, mend })
  const { privileged, allowPrivilegeEscalation, runAsUser, runAsGroup, capabilities, procMount, windowsOptions } =
    container.securityContext ?? {}
  const { proxy, requireRunAsUser } = settings
  if (windowsOptions != null) refuse('windows', 'it is for Windows', 'Create it in a namespace that is not labelled.')
  if (privileged === true) refuse('privileged', 'it is privileged', 'Set securityContext.privileged: false.')
  const added = (capabilities?.add ?? []).filter((name) => dangerous.has(plain(name)))
  if (added.length > 0)
    refuse('capability', `it adds ${added.join(', ')}`, 'Take that out of securityContext.capabilities.add.')
  const left = undropped(capabilities?.drop)
  if (left.length > 0)
    refuse(
      'capability',
      `it keeps ${left.join(', ')}, which runtimes give unasked`,
      'Set securityContext.capabilities.drop: [ALL], or drop these.',
    )
  if (allowPrivilegeEscalation !== false)
    refuse(
      'privilege_escalation',
      'allowPrivilegeEscalation is not false',
      'Set securityContext.allowPrivilegeEscalation: false.',
    )
  if (procMount != null && procMount !== 'Default')
    refuse('proc_mount', `procMount is ${procMount}`, 'Leave procMount out.')
  if (runAsUser === proxy.uid) refuse('proxy_identity', `runAsUser is ${proxy.uid}`, 'Use another user.')
  if (runAsGroup === proxy.gid) refuse('proxy_identity', `runAsGroup is ${proxy.gid}`, 'Use another group.')
  if (requireRunAsUser && (runAsUser ?? spec.securityContext?.runAsUser) == null)
    refuse('uid_unknown', 'no runAsUser', 'Set securityContext.runAsUser.')
  return found
}

function harder(container: Container): Container {
  const { procMount, capabilities, ...security } = container.securityContext ?? {}
  const add = (capabilities?.add ?? []).filter((name) => !dangerous.has(plain(name)))
  const drop = [...(capabilities?.drop ?? []), ...undropped(capabilities?.drop)]
  return {
    ...container,
    securityContext: {
      ...security,
      ...(security.privileged === true ? { privileged: false } : {}),
      allowPrivilegeEscalation: false,
      capabilities: { ...(add.length > 0 ? { add } : {}), drop },
    },
  }
}

function undropped(drop: readonly string[] | null | undefined): string[] {
  const dropped = new Set((drop ?? []).map(plain))
  return dropped.has('ALL') ? [] : unasked.filter((name) => !dropped.has(name))
}

/** Runtimes take `cap_net_raw` for NET_RAW. */
const plain = (capability: string) => capability.toUpperCase().replace(/^CAP_/, '')

function isWayToNode({ hostPath }: Volume): boolean {
  if (hostPath == null) return false
  // /var/run is a link to /run on all that Kubernetes runs on.
  const path = `/${hostPath.path
    .split('/')
    .filter((part) => part !== '' && part !== '.')
    .join('/')}`.replace(/^\/var\/run(?=\/|$)/, '/run')
  if (path.split('/').includes('..')) return true
  return nodePaths.some(
    (each) => path === '/' || path === each || each.startsWith(`${path}/`) || path.startsWith(`${each}/`),
  )
}
