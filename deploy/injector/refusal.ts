// Why a pod is not admitted: one closed list, and a message that says how to mend it.

/** Stand in metrics and audit annotations. */
export const refusalReasons = {
  unreadable_pod: 'It is not a pod as the API knows them.',
  unknown_option: 'An annotation or label of ours that there is not.',
  bad_option: 'An annotation or label of ours with a value that it cannot have.',
  option_not_allowed: 'The namespace does not allow pods to ask for this.',
  windows: 'Windows has no redirect rules of ours.',
  static_pod: 'A static pod runs whatever is decided here.',
  host_network: 'It would use the network of the node, where nothing is captured.',
  host_pid: 'It would see, and could reach into, the processes of the node.',
  privileged: 'It could take the rules away.',
  capability: 'It could take the rules away, go round them, or become the user of the proxy.',
  privilege_escalation: 'A set-user-ID program could give it what it must not have.',
  proxy_identity: 'The user and group of the proxy are not captured.',
  uid_unknown: 'The image might name the user of the proxy.',
  proc_mount: 'It could change settings of the kernel.',
  host_path: 'It could reach the container runtime or the node.',
  name_taken: 'Something of this name is there that is not ours.',
  volume_reserved: 'It would see or change what is for the proxy alone.',
  path_taken: 'Something else is mounted where the trust files go.',
  port_taken: 'The proxy listens there.',
  secret_reserved: 'It would hold the secrets that the proxy is there to keep from it.',
  targets_proxy: 'It would share the processes of the proxy.',
  sidecar_missing: 'Without the proxy in it the pod is not captured.',
  sidecar_not_first: 'What starts before the proxy is not captured.',
  sidecar_altered: 'The proxy, or its capture, is not as it was injected.',
  injection_undone: 'A container or volume is not as it was injected.',
} as const

export type RefusalReason = keyof typeof refusalReasons

export interface Refusal {
  readonly reason: RefusalReason
  /** `container agent`, `the pod`, `volume x`. */
  readonly where: string
  /** What is wrong there. */
  readonly found: string
  /** What to do about it. */
  readonly mend: string
}

const mostTold = 12
/** Of what stands in the pod it may hold names of any length. */
const longest = 8_000

/** For whoever creates the pod, and for the events of its owner. */
export function refusalMessage(refusals: readonly Refusal[]): string {
  const told = refusals.slice(0, mostTold).map(({ where, found, mend, reason }) => {
    return `${where}: ${found}. ${refusalReasons[reason]} ${mend} [${reason}]`
  })
  const more = refusals.length - told.length
  return `postern does not admit this pod. ${told.join(' | ').slice(0, longest)}${more > 0 ? ` | and ${more} more` : ''}`
}
